"""Benchmarks: ratios against something run beside, never absolute times. `python -m tracehound.evals.bench`."""
