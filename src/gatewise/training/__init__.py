"""Training: batches, losses, metrics, optimizers, schedules, callbacks, and the loop."""
