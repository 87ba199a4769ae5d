"""A run: what is found, what workers make of it, and how it is recorded."""
