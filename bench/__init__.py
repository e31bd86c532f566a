"""Benchmarks: figures and ratios of one run on one machine.

`make bench` prints them all, and fails where a budget is missed (budgets.py).
"""
