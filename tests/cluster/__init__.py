"""Runs on a real cluster, which the tests bring up: SLURM with two nodes on this machine."""
