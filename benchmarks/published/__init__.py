"""Experiments whose outcome others have published: see README.md."""
