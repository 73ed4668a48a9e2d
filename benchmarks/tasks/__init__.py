"""Real tasks, each one program: see README.md."""
