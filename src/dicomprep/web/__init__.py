"""The pages: labeling, gallery, originals, failures, overview. They read the database, never the stages."""
