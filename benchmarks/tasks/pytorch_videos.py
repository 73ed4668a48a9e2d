"""The networks of moving_digits in PyTorch."""

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import nn
from torch.nn import functional

from .moving_digits import steps_of


class Convolution(nn.Module):
    """Convolutions of each image, an LSTM, two outputs."""

    def __init__(self, units):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 16, 5, stride=2), nn.Conv2d(16, 64, 3)
        self.recurrent = nn.LSTM(64 + 16 * 9, units, batch_first=True)
        self.heads = nn.ModuleList([nn.Linear(units, 10), nn.Linear(units, 8)])

    def forward(self, x):
        images = functional.pad(x.flatten(0, 1), (1, 2, 1, 2))  # "same", as Keras places it
        z = functional.relu(self.first(images))
        what = functional.relu(self.second(z)).amax((2, 3))
        where = functional.max_pool2d(z, 4).flatten(1)
        z = torch.cat([what, where], 1).reshape(*x.shape[:2], -1)
        z = self.recurrent(z)[0][:, -1]
        return [head(z) for head in self.heads]


class ConvLSTM(nn.Module):
    """A ConvLSTM, a convolution of its outputs, their mean over steps, two outputs."""

    def __init__(self, units):
        super().__init__()
        self.units = units
        self.of_x = nn.Conv2d(1, 4 * units, 3, stride=2)
        self.of_h = nn.Conv2d(units, 4 * units, 3, padding=1, bias=False)
        self.second = nn.Conv2d(units, 64, 4)
        self.heads = nn.ModuleList([nn.Linear(64, 10), nn.Linear(64, 8)])
        with torch.no_grad():
            self.of_x.bias[units : 2 * units] += 1  # the forget gate, as Keras has it

    def forward(self, x):
        batch, steps = x.shape[:2]
        sums = self.of_x(functional.pad(x.flatten(0, 1), (0, 1, 0, 1)))
        sums = sums.reshape(batch, steps, *sums.shape[1:])
        h = c = sums.new_zeros(batch, self.units, *sums.shape[3:])
        outputs = []
        for t in range(steps):
            i, f, g, o = (sums[:, t] + self.of_h(h)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
        z = functional.relu(self.second(torch.stack(outputs, 1).flatten(0, 1))).amax((2, 3))
        z = z.reshape(batch, steps, -1).mean(1)
        return [head(z) for head in self.heads]


class Estimator(BaseEstimator):
    """Trained as gatewise's: Adam, its rate along half a cosine."""

    def __init__(self, network, seed, kind):
        self.network, self.seed, self.kind = network, seed, kind

    def fit(self, X, y):
        network = self.network
        torch.manual_seed(self.seed)
        kinds = {"lstm": Convolution, "convlstm": ConvLSTM}
        self.module_ = kinds[self.kind](network.units)
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
        with torch.inference_mode():
            batches = [self.module_(x) for x in self._channels_first(X).split(32)]
        return np.stack([torch.cat(z).argmax(1).numpy() for z in zip(*batches)], axis=1)

    @staticmethod
    def _channels_first(X):
        return torch.as_tensor(np.moveaxis(X, -1, 2).copy())
