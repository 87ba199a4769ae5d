"""Python imports this when it starts, where this folder is in PYTHONPATH."""

from benchmarks.sampling import watch

watch()
