"""Benchmarks: figures and ratios of one run on one machine. Nothing here is a test; `make bench` prints them all."""
