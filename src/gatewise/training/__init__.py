"""Training: batches, losses, metrics, optimizers, callbacks, and the loop."""
