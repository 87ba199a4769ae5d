"""What training code reads: a data set, a table, a volume; from the database and the thumbnails alone."""
