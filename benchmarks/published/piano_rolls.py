"""What jsb and nottingham share: frames, networks, training, the figure, and floors.

The figure is that of Boulanger-Lewandowski et al. 2012 and all who followed: the negative
log-likelihood of the next frame in nats, summed over the 88 keys and averaged over all predicted
frames of all pieces. As in the code of Bai et al. 2018, frames 2 to the last of a piece are
predicted from those before; the first, which nothing precedes, is not. Padding is no frame: rows
have lengths.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from gatewise import Sequential, layers
from gatewise.callbacks import EarlyStopping

from .data import KEYS
from .training import VERBOSE, adam

CELLS = {"tanh": layers.SimpleRNN, "GRU": layers.GRU, "LSTM": layers.LSTM}
# One layer with all its weights and those of the output: at most 20,000 parameters.
SMALL_UNITS = {"tanh": 78, "GRU": 41, "LSTM": 34}


@dataclass(frozen=True)
class Training:
    """How a network is trained."""

    epochs: int
    batch_size: int
    learning_rate: float
    patience: int  # epochs without a better validation figure
    piece: int  # frames that a row has at most in training
    input_dropout: float = 0.0
    recurrent_dropout: float = 0.0
    output_dropout: float = 0.0
    weight_decay: float | None = None
    norm: float = 1.0  # of a gradient, at most; that of the loss, which is a mean over keys
    validation_freq: int = 1


def cut(pieces, most):
    """Parts of pieces of at most `most` frames; each starts with the last frame before it."""
    parts = []
    for piece in pieces:
        count = -(-(len(piece) - 1) // most)
        ends = np.linspace(0, len(piece) - 1, count + 1).round().astype(int)
        parts += [piece[first : last + 1] for first, last in pairwise(ends)]
    return parts


def padded(pieces):
    """x, y (pieces, frames, 88) and lengths: y is x one frame later."""
    lengths = np.array([len(piece) - 1 for piece in pieces])
    x = np.zeros((len(pieces), lengths.max(), KEYS), np.float32)
    y = np.zeros_like(x)
    for row, piece in enumerate(pieces):
        x[row, : len(piece) - 1], y[row, : len(piece) - 1] = piece[:-1], piece[1:]
    return x, y, lengths


def network(cell, units, depth, how, seed):
    """Dropout, recurrent layers with dropout after each, 88 sigmoids."""
    stack = [layers.Input((None, KEYS)), layers.Dropout(how.input_dropout)]
    for _ in range(depth):
        stack += [
            CELLS[cell](units, return_sequences=True, recurrent_dropout=how.recurrent_dropout),
            layers.Dropout(how.output_dropout),
        ]
    return Sequential([*stack, layers.Dense(KEYS, "sigmoid")], seed=seed)


def train(model, training, validation, how):
    """Fit; the weights are those of the epoch that predicts the validation pieces best."""
    x, y, lengths = padded(cut(training, how.piece))
    optimizer = adam(
        how.learning_rate, len(x), how.batch_size, how.epochs, how.weight_decay, how.norm
    )
    model.compile(optimizer, "binary_crossentropy")
    vx, vy, vlengths = padded(sorted(validation, key=len))
    model.fit(
        x,
        y,
        batch_size=how.batch_size,
        epochs=how.epochs,
        lengths=lengths,
        verbose=VERBOSE,
        validation_data=(vx, vy, None, vlengths),
        validation_freq=how.validation_freq,
        callbacks=[EarlyStopping(patience=how.patience, restore_best_weights=True)],
    )


def quickly(networks):
    """The same networks, trained for one epoch on parts of five frames."""
    return {
        name: (cell, units, depth, replace(how, epochs=1, piece=5, validation_freq=1))
        for name, (cell, units, depth, how) in networks.items()
    }


def nats_per_frame(model, pieces):
    """The figure of whole pieces: the loss is a mean over keys; times 88 it is their sum."""
    x, y, lengths = padded(sorted(pieces, key=len))
    return KEYS * model.evaluate(x, y, lengths=lengths, verbose=VERBOSE)


def figures(rolls, networks, seed):
    """(name, test figure) of each network: name -> (cell, units, depth, how it is trained)."""
    training, validation, test = rolls
    for name, (cell, units, depth, how) in networks.items():
        model = network(cell, units, depth, how, seed)
        train(model, training, validation, how)
        yield name, nats_per_frame(model, test)


# ---- without a network


def floors(rolls):
    """Figures of three predictors that count in the training pieces, given the last frame."""
    training, _, test = rolls
    before, after = _pairs(training)
    frequencies = _rates(after)
    kept, struck = _rates(after[before == 1]), _rates(after[before == 0])
    by_key = np.stack(
        [[_rates(after[before[:, key] == state, key]) for key in range(KEYS)] for state in (0, 1)]
    )
    last, now = _pairs(test)
    keys = np.arange(KEYS)
    return {
        "frequency of each key": _nats(now, np.broadcast_to(frequencies, now.shape)),
        "repeat the last frame": _nats(now, np.where(last == 1, kept, struck)),
        "the same, given the key's last state": _nats(now, by_key[last.astype(int), keys]),
    }


def _pairs(pieces):
    """All (frame, next frame) as two arrays (frames, 88)."""
    return np.concatenate([piece[:-1] for piece in pieces]), np.concatenate(
        [piece[1:] for piece in pieces]
    )


def _rates(sounding):
    """Part of ones along the first axis, with one of each added, so that nothing is impossible."""
    return (sounding.sum(axis=0, dtype=float) + 1) / (len(sounding) + 2)


def _nats(frames, probability):
    """Negative log-likelihood a frame."""
    return float(
        -np.where(frames == 1, np.log(probability), np.log1p(-probability)).sum(axis=1).mean()
    )
