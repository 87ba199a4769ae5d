"""The pages: labelling, gallery, originals, failures, overview. They read the database, never the stages."""
