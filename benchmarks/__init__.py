"""Benchmarks: gatewise and its peers side by side. ``python -m benchmarks.compare --help``."""
