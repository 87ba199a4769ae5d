"""The command line: a command's file holds its options, its one call, and what it prints."""
