"""Nottingham: the next frame of folk tunes with chords (Chung et al. 2014).

Data and split of Boulanger-Lewandowski et al. 2012: 694 pieces to train on, 173 to validate, 170 to
test. Chung et al.'s own sizes: 100 tanh units, 46 GRU, 36 LSTM, which is about 20,000 weights in
the layer alone. Training pieces are read whole, from a state of zeros, as validation and test
pieces are. No dropout; weights decay by a part of the learning rate at each step (Loshchilov and
Hutter 2019), which on this data does what dropout and noise do not. Rates, decay and epochs were
chosen on the validation pieces, for each cell; the weights kept are those of the epoch with the
best validation figure, and the test pieces are looked at once, at the end. Gradients are scaled to
a norm of at most 0.01, which is about 1 for a loss that is a sum over the 88 keys instead of a
mean.
"""

from .data import made_up_rolls, piano_rolls
from .experiment import Experiment, Published
from .piano_rolls import Training, figures, floors, quickly

LONGEST = 5_000  # frames; no piece is as long


def _how(epochs, learning_rate, weight_decay):
    return Training(
        epochs=epochs,
        batch_size=4,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        norm=0.01,
        piece=LONGEST,
        patience=epochs,
        validation_freq=5,
    )


NETWORKS = {
    "tanh, 1 x 100": ("tanh", 100, 1, _how(800, 0.006, 0.15)),
    "GRU, 1 x 46": ("GRU", 46, 1, _how(600, 0.02, 0.042)),
    "LSTM, 1 x 36": ("LSTM", 36, 1, _how(1200, 0.04, 0.031)),
}
PUBLISHED = dict(
    zip(NETWORKS, [Published(figure, "Chung et al. 2014") for figure in (3.13, 3.23, 3.20)])
)


def rolls(quick):
    """The pieces, or a few made-up ones."""
    return made_up_rolls() if quick else piano_rolls("Nottingham")


def run(seed, quick):
    """(network, test figure) of each network."""
    return figures(rolls(quick), quickly(NETWORKS) if quick else NETWORKS, seed)


EXPERIMENT = Experiment(
    "Nottingham",
    "test negative log-likelihood, nats a frame",
    PUBLISHED,
    lambda seed, quick: floors(rolls(quick)),
    run,
)
