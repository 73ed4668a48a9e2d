"""The generator of text_generation in PyTorch: the same network, parts and optimizer."""

import numpy as np
import torch
from torch import nn


class Net(nn.Module):
    """LSTM layers over one-hot characters, dropout after each, scores of the next character."""

    def __init__(self, size, network):
        super().__init__()
        self.size = size
        self.recurrent = nn.LSTM(
            size,
            network.units,
            network.num_layers,
            batch_first=True,
            dropout=network.dropout,
        )
        self.dropout = nn.Dropout(network.dropout)
        self.scores = nn.Linear(network.units, size)

    def forward(self, x, state=None):
        """(scores, state after the last step)."""
        y, state = self.recurrent(nn.functional.one_hot(x, self.size).float(), state)
        return self.scores(self.dropout(y)), state


class Generator:
    """Trains on texts of one length; predicts their cross-entropy."""

    def __init__(self, network, seed, chunk):
        self.network, self.chunk = network, chunk
        torch.manual_seed(seed)

    def _rows(self, X):
        shortest = min(map(len, X))
        codes = [[0, *(self.codes.get(c, 0) for c in text[:shortest])] for text in X]
        return torch.tensor(np.array(codes))

    def fit(self, X, y=None):
        """Train; 0 is the code of the start of a text."""
        self.codes = {c: n for n, c in enumerate(sorted(set("".join(X))), 1)}
        rows, network = self._rows(X), self.network
        self.net = Net(len(self.codes) + 1, network)
        optimizer = torch.optim.Adam(self.net.parameters(), network.rate, eps=1e-7)
        parts = -(-(rows.shape[1] - 1) // self.chunk)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, parts * network.epochs)
        for _ in range(network.epochs):
            state = None
            for at in range(0, rows.shape[1] - 1, self.chunk):
                x = rows[:, at : at + self.chunk + 1]
                scores, state = self.net(x[:, :-1], state)
                state = tuple(part.detach() for part in state)
                loss = nn.functional.cross_entropy(scores.flatten(0, 1), x[:, 1:].flatten())
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
                optimizer.step()
                schedule.step()
        return self

    def predict(self, X):
        """Nats a character, with and without the first of each text."""
        rows = self._rows(X)
        with torch.no_grad():
            scores, _ = self.net.eval()(rows[:, :-1])
            losses = nn.functional.cross_entropy(scores.mT, rows[:, 1:], reduction="none")
            return float(losses.mean()), float(losses[:, 1:].mean())
