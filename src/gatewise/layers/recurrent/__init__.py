"""Recurrent layers: each owns parameters and state, and a kernel or a NumPy cell does its steps."""
