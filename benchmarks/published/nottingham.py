"""Nottingham: the next frame of folk tunes with chords (Chung et al. 2014).

Data and split of Boulanger-Lewandowski et al. 2012: 694 pieces to train on, 173 to validate, 170 to test. Chung et al.'s own
sizes: 100 tanh units, 46 GRU, 36 LSTM, which is about 20,000 weights in the layer alone. Training pieces are cut into parts that
start from a state of zeros; validation and test pieces are read whole. All cells are trained alike, with settings that were
chosen on the validation pieces; the weights kept are those of the epoch with the best validation figure, and the test pieces are
looked at once, at the end. Gradients are scaled to a norm of at most 0.01, which is about 1 for a loss that is a sum over the 88
keys instead of a mean.
"""

from .data import made_up_rolls, piano_rolls
from .experiment import Experiment, Published
from .piano_rolls import Training, figures, floors

SIZES = {f"{cell}, 1 x {units}": (cell, units, 1) for cell, units in {"tanh": 100, "GRU": 46, "LSTM": 36}.items()}
PUBLISHED = dict(zip(SIZES, [Published(figure, "Chung et al. 2014") for figure in (3.13, 3.23, 3.20)]))
HOW = {1: Training(epochs=500, batch_size=4, learning_rate=0.003, input_dropout=0.02, recurrent_dropout=0.02,
                   output_dropout=0.05, piece=400, patience=500, norm=0.01)}
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
