"""What training code reads: a data set, a table; from the database and the thumbnails alone."""
