"""Measured comparisons. Each module can be run alone; `python -m benchmarks` runs them all."""
