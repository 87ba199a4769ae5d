"""The labelling page. It reads by `database.queries` and writes labels by `database.store`, nothing else."""
