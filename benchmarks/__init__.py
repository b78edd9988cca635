"""Benchmarks: every figure that the documentation gives, by name. ``python -m benchmarks list``."""
