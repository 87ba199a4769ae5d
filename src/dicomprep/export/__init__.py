"""Data sets for others: tables, shards and folders that say nothing of patients or places."""
