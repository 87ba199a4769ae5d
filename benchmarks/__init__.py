"""Benchmarks: against the baseline script, other programs and the lower bound of the machine: make bench"""
