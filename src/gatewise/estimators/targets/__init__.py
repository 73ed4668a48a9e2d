"""What y means: labels, several labels, numbers, and labels or numbers of single steps."""
