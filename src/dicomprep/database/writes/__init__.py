"""All writes to the database. During a run its parent process is the only writer."""
