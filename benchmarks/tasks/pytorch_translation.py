"""An encoder and decoder with attention in PyTorch, with the interface of an estimator."""

import math

import numpy as np
import torch
from sklearn.base import BaseEstimator

from benchmarks.engines.torch_seq2seq import Seq2Seq

PAD, START, END = 0, 1, 2
POOL = 16  # batches whose rows are sorted by length together, as gatewise does


class Translator(BaseEstimator):
    """From texts or rows of tokens to such rows, greedily; characters are the tokens of a text."""

    def __init__(self, network, seed=0):
        self.network, self.seed = network, seed

    def fit(self, X, y):
        network = self.network
        torch.manual_seed(self.seed)
        rng = np.random.default_rng(self.seed)
        self.texts_ = isinstance(y[0], str)
        self.source_, self.target_ = numbers_of(X), numbers_of(y)
        sources, targets = coded(X, self.source_), coded(y, self.target_)
        self.model_ = Seq2Seq(
            3 + len(self.source_),
            3 + len(self.target_),
            network.units,
            network.embedding,
            dropout=network.dropout,
        )
        optimizer = torch.optim.Adam(self.model_.parameters(), network.rate)
        steps = network.epochs * math.ceil(len(X) / network.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        self.model_.train()
        for _ in range(network.epochs):
            for rows in batches(sources, targets, network.batch_size, rng):
                source, lengths = padded([sources[k] for k in rows])
                wanted, _ = padded([[*targets[k], END] for k in rows])
                target = torch.cat([torch.full((len(rows), 1), START), wanted[:, :-1]], 1)
                optimizer.zero_grad()
                self.model_.loss(source, target, wanted, lengths).backward()
                torch.nn.utils.clip_grad_norm_(self.model_.parameters(), 1.0)
                optimizer.step()
                schedule.step()
        return self

    def predict(self, X):
        self.model_.eval()
        tokens, found = {number: token for token, number in self.target_.items()}, []
        for first in range(0, len(X), 256):
            source, lengths = padded(coded(X[first : first + 256], self.source_))
            rows = self.model_.generate(source, lengths, START, END, 2 * source.shape[1] + 10)
            found += [[tokens[k] for k in row if k in tokens] for row in rows]
        return ["".join(row) for row in found] if self.texts_ else found


def numbers_of(rows):
    """Numbers of the tokens of some rows, from 3."""
    return {
        token: 3 + k for k, token in enumerate(sorted({token for row in rows for token in row}))
    }


def coded(rows, numbers):
    """Rows of numbers; what is not known is left out."""
    return [[numbers[token] for token in row if token in numbers] for row in rows]


def padded(rows):
    """(tokens of the rows, their lengths), as tensors."""
    return (
        torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True),
        torch.tensor([len(row) for row in rows]),
    )


def batches(sources, targets, size, rng):
    """Rows of each batch, of about the same lengths, in random order."""
    lengths = np.array([len(a) + len(b) for a, b in zip(sources, targets)])
    order, found = rng.permutation(len(sources)), []
    for first in range(0, len(order), POOL * size):
        pool = order[first : first + POOL * size]
        pool = pool[np.argsort(-lengths[pool], kind="stable")]
        found += [pool[k : k + size] for k in range(0, len(pool), size)]
    return [found[k] for k in rng.permutation(len(found))]
