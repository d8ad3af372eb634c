"""Experiments built on `batch`: the command line, comparisons, reports and benchmarks."""
