"""The same network in PyTorch, trained by skorch."""

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.preprocessing import LabelEncoder
from skorch import NeuralNet
from skorch.callbacks import GradientNormClipping, LRScheduler
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

NO_LABEL = -100  # what PyTorch's cross-entropy leaves out


class Module(nn.Module):
    """Optional embedding and pooling, recurrent layers, a linear output; dropout as in Network."""

    def __init__(self, network, inputs, outputs, per_step):
        super().__init__()
        self.network, self.per_step = network, per_step
        if network.embedding:
            self.embedding = nn.Embedding(inputs, network.embedding)
        self.dropout = nn.Dropout(network.dropout)
        self.recurrent = getattr(nn, network.cell.upper())(
            network.embedding or inputs,
            network.units,
            network.num_layers,
            batch_first=True,
            bidirectional=network.bidirectional,
            dropout=network.dropout if network.num_layers > 1 else 0.0,
        )
        self.output = nn.Linear(network.units * (1 + network.bidirectional), outputs)

    def forward(self, x, lengths):
        if self.network.embedding:
            x = self.embedding(x)
        h = self.dropout(self._steps(x, lengths))
        if self.per_step:
            return self.output(h).transpose(1, 2)  # classes second, as cross-entropy wants them
        return self.output(self._pooled(h, lengths))

    def _steps(self, x, lengths):
        """Outputs of all steps. Only what reads backwards must know where a row ends."""
        if not self.network.bidirectional or bool((lengths == x.shape[1]).all()):
            return self.recurrent(x)[0]
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(
            self.recurrent(packed)[0], batch_first=True, total_length=x.shape[1]
        )[0]

    def _pooled(self, h, lengths):
        counts = torch.arange(h.shape[1])[None, :, None] < lengths[:, None, None]
        if self.network.pooling == "mean":
            return (h * counts).sum(1) / lengths[:, None]
        if self.network.pooling == "max":
            return h.masked_fill(~counts, -torch.inf).amax(1)
        last = h[torch.arange(len(h)), lengths - 1]
        if self.network.bidirectional:  # the backward pass ends at the first step
            half = h.shape[2] // 2
            last = torch.cat([last[:, :half], h[:, 0, half:]], dim=1)
        return last


class Estimator(BaseEstimator):
    """A classifier, or with `per_step` a tagger, of lists of sequences."""

    def __init__(self, network, seed=0, per_step=False):
        self.network, self.seed, self.per_step = network, seed, per_step

    def fit(self, X, y):
        network = self.network
        self.labels_ = LabelEncoder().fit(np.concatenate(y) if self.per_step else y)
        inputs = 1 + int(max(map(max, X))) if network.embedding else X[0].shape[1]
        torch.manual_seed(self.seed)
        self.net_ = trained_by_skorch(
            Module(network, inputs, len(self.labels_.classes_), self.per_step),
            network,
            len(X),
            criterion=nn.CrossEntropyLoss,
            iterator_train__collate_fn=cut,
            iterator_valid__collate_fn=cut,
        )
        self.net_.fit(self._padded(X), self._targets(y))
        return self

    def predict(self, X):
        lengths = [len(sequence) for sequence in X]
        outputs = [output.argmax(1).numpy() for output in self.net_.forward_iter(self._padded(X))]
        if not self.per_step:
            return self.labels_.inverse_transform(np.concatenate(outputs))
        rows = (row for output in outputs for row in output)
        return [self.labels_.inverse_transform(row[:length]) for row, length in zip(rows, lengths)]

    def _padded(self, X):
        return padded(X, np.int64 if self.network.embedding else np.float32)

    def _targets(self, y):
        if not self.per_step:
            return self.labels_.transform(y)
        targets = np.full((len(y), max(map(len, y))), NO_LABEL)
        for row, labels in zip(targets, y):
            row[: len(labels)] = self.labels_.transform(labels)
        return targets


class Transcriber(Estimator):
    """From lists of sequences to texts, trained by CTC and read by the likeliest class of a step.

    Class 0 is the blank.
    """

    def __init__(self, network, seed=0):
        super().__init__(network, seed, per_step=True)

    def fit(self, X, y):
        self.labels_ = sorted(set("".join(y)))
        torch.manual_seed(self.seed)
        self.net_ = trained_by_skorch(
            Readings(self.network, X[0].shape[1], 1 + len(self.labels_), True),
            self.network,
            len(X),
            criterion=CTC,
            iterator_train__collate_fn=cut,
            iterator_valid__collate_fn=cut,
        )
        targets = np.zeros((len(y), max(map(len, y))), np.int64)
        for row, text in zip(targets, y):
            row[: len(text)] = [1 + self.labels_.index(letter) for letter in text]
        self.net_.fit(self._padded(X), targets)
        return self

    def predict(self, X):
        texts = []
        for scores, lengths in self.net_.forward_iter(self._padded(X)):
            for row, length in zip(scores.argmax(2), lengths):
                path = torch.unique_consecutive(row[:length])
                texts.append("".join(self.labels_[k - 1] for k in path if k > 0))
        return texts


class Readings(Module):
    """Logarithms of probabilities of each step, and how many steps there are."""

    def forward(self, x, lengths):
        return super().forward(x, lengths).transpose(1, 2).log_softmax(2), lengths


class CTC(nn.Module):
    """The loss of readings, as a mean over rows."""

    def forward(self, readings, targets):
        p, lengths = readings
        return nn.functional.ctc_loss(
            p.transpose(0, 1), targets, lengths, (targets > 0).sum(1), reduction="sum"
        ) / len(targets)


def regressor(network, seed, inputs, outputs, samples):
    """A net from {"x": (n, steps, inputs), "lengths": (n,)} to (n, outputs), by absolute error."""
    torch.manual_seed(seed)
    return trained_by_skorch(
        Module(network, inputs, outputs, False), network, samples, criterion=nn.L1Loss
    )


def trained_by_skorch(module, network, samples, **options):
    """skorch's net, which trains as gatewise's estimators are told to."""
    steps = network.epochs * -(-samples // network.batch_size)
    return NeuralNet(
        module,
        optimizer=torch.optim.Adam,
        lr=network.rate,
        max_epochs=network.epochs,
        batch_size=network.batch_size,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        callbacks=[
            GradientNormClipping(1.0),
            LRScheduler("CosineAnnealingLR", T_max=steps, step_every="batch"),
        ],
        **options,
    )


def padded(X, dtype):
    """A list of sequences as the input of a net."""
    lengths = np.array([len(sequence) for sequence in X])
    x = np.zeros((len(X), lengths.max(), *np.shape(X[0])[1:]), dtype)
    for row, sequence in zip(x, X):
        row[: len(sequence)] = sequence
    return {"x": x, "lengths": lengths}


def cut(samples):
    """A batch, no longer than its longest sequence."""
    x, y = torch.utils.data.default_collate(samples)
    most = int(x["lengths"].max())
    return {"x": x["x"][:, :most], "lengths": x["lengths"]}, y[:, :most] if y.ndim == 2 else y
