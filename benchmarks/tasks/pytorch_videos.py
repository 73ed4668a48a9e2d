"""The networks of moving_digits in PyTorch, and their training."""

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import nn
from torch.nn import functional

from ..torch_videos import ConvLSTM2d
from .moving_digits import steps_of


class Network(nn.Module):
    """That of examples/watch_digits.py."""

    def __init__(self, kind, units):
        super().__init__()
        self.convlstm = kind == "convlstm"
        self.first = nn.Sequential(nn.Conv2d(1, 24, 5, stride=2), normalization(24), nn.ReLU())
        if self.convlstm:
            self.recurrent, self.second = ConvLSTM2d(24, units), normalization(units)
        else:
            self.recurrent = nn.LSTM(64, units, batch_first=True)
            self.second = nn.LSTM(36, units, batch_first=True)
        self.last = nn.Conv2d(units if self.convlstm else 24, 64, 3)
        self.dropout = nn.Dropout(0.2)
        outputs = 64 if self.convlstm else units
        self.heads = nn.ModuleList([nn.Linear(outputs, 10), nn.Linear(outputs, 8)])

    def forward(self, x):
        images = x.flatten(0, 1)
        z = self.first(functional.pad(images, (1, 2, 1, 2)))  # "same", as Keras places it
        if self.convlstm:
            z = self.recurrent(z.reshape(*x.shape[:2], *z.shape[1:])).flatten(0, 1)
            z = self.second(z)
        z = functional.relu(self.last(z)).amax((2, 3))
        what = where = self.dropout(z.reshape(*x.shape[:2], -1))
        if not self.convlstm:
            what = self.recurrent(what)[0]
            where = functional.avg_pool2d(images, 4).reshape(*x.shape[:2], -1)
            where = self.second(where)[0]
        return [head(z.mean(1)) for head, z in zip(self.heads, (what, where))]


def normalization(channels):
    """With Keras's constants."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Estimator(BaseEstimator):
    """Trained as gatewise's: Adam, its rate along half a cosine."""

    def __init__(self, network, seed, kind):
        self.network, self.seed, self.kind = network, seed, kind

    def fit(self, X, y):
        network = self.network
        torch.manual_seed(self.seed)
        self.module_ = Network(self.kind, network.units)
        x, y = self._channels_first(X), torch.as_tensor(y)
        optimizer = torch.optim.Adam(self.module_.parameters(), lr=network.rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps_of(network, len(x)))
        for _ in range(network.epochs):
            for rows in torch.randperm(len(x)).split(network.batch_size):
                optimizer.zero_grad()
                outputs = self.module_(x[rows])
                loss = sum(
                    functional.cross_entropy(z, labels) for z, labels in zip(outputs, y[rows].T)
                )
                loss.backward()
                optimizer.step()
                schedule.step()
        return self

    def predict(self, X):
        self.module_.eval()
        with torch.inference_mode():
            batches = [self.module_(x) for x in self._channels_first(X).split(32)]
        return np.stack([torch.cat(z).argmax(1).numpy() for z in zip(*batches)], axis=1)

    @staticmethod
    def _channels_first(X):
        return torch.as_tensor(np.moveaxis(X, -1, 2).copy())
