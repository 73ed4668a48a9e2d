"""What y means: labels, several labels, numbers, labels or numbers of steps, reconstruction."""
