"""Benchmarks: ratios against something run beside, never absolute times."""
