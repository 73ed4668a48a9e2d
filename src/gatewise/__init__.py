"""Recurrent networks on the CPU, trained and run from NumPy arrays."""
