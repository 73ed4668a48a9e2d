"""The compiled kernels: recurrent cells, dense products, losses, optimizers, and their threads."""
