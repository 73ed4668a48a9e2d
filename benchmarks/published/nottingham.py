"""Nottingham: the next frame of folk tunes with chords (Chung et al. 2014).

Data and split of Boulanger-Lewandowski et al. 2012: 694 pieces to train on, 173 to validate, 170 to test. One layer
and its outputs have at most 20,000 weights in all (78 tanh units, 41 GRU, 34 LSTM); Chung et al. gave the layer alone
about as many. Training pieces are cut into parts that start from a state of zeros; validation and test pieces are
read whole. All cells are trained alike, with settings that were chosen on the validation pieces; the weights kept are
those of the epoch with the best validation figure, and the test pieces are looked at once, at the end.
"""

from .data import made_up_rolls, piano_rolls
from .experiment import Experiment, Published
from .piano_rolls import SMALL_UNITS, Training, figures, floors

SIZES = {f"{cell}, 1 x {units}": (cell, units, 1) for cell, units in SMALL_UNITS.items()}
PUBLISHED = dict(zip(SIZES, [Published(figure, "Chung et al. 2014") for figure in (3.13, 3.23, 3.20)]))
HOW = {1: Training(epochs=60, batch_size=2, learning_rate=0.01, input_dropout=0.05, recurrent_dropout=0.05,
                   output_dropout=0.05, piece=100, patience=20)}
QUICK = {1: Training(epochs=1, batch_size=4, learning_rate=0.01, input_dropout=0.1, recurrent_dropout=0.1, output_dropout=0.1,
                     piece=5, patience=1)}


def rolls(quick):
    """The pieces, or a few made-up ones."""
    return made_up_rolls() if quick else piano_rolls("Nottingham")


def run(seed, quick):
    """(network, test figure) of each network."""
    return figures(rolls(quick), SIZES, QUICK if quick else HOW, seed)


EXPERIMENT = Experiment("Nottingham", "test negative log-likelihood, nats a frame", PUBLISHED,
                        lambda seed, quick: floors(rolls(quick)), run)
