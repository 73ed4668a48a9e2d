"""The learning rate of all experiments: half a cosine, from the first rate to zero (Loshchilov and Hutter 2017)."""

import math

from gatewise.callbacks import Callback


def cosine_rate(rate, done):
    """The rate when a part `done` (0 to 1) of training is over."""
    return 0.5 * rate * (1 + math.cos(math.pi * min(done, 1.0)))


class CosineRate(Callback):
    """Sets it before each batch of `fit`."""

    def __init__(self, rate, steps):
        self.rate, self.steps = rate, steps

    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = cosine_rate(self.rate, self.model.optimizer.iterations / self.steps)
