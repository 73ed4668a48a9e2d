"""Networks of videos in PyTorch, for benchmarks.images; (batch, steps, channels, rows, columns)."""

import torch
from torch import nn
from torch.nn import functional


class ConvLSTM2d(nn.Module):
    """h of all steps, as the layer of Keras with padding "same" and windows of 3 x 3.

    The convolution of x is one call for all steps.
    """

    def __init__(self, inputs, filters, stride=1):
        super().__init__()
        self.filters, self.stride = filters, stride
        self.of_x = nn.Conv2d(inputs, 4 * filters, 3, stride)
        self.of_h = nn.Conv2d(filters, 4 * filters, 3, padding=1, bias=False)
        with torch.no_grad():
            self.of_x.bias[filters : 2 * filters] += 1  # of the forget gate

    def forward(self, x):
        before = 2 - self.stride  # the padding that even images need
        sums = self.of_x(functional.pad(x.flatten(0, 1), (before, 1, before, 1)))
        sums = sums.reshape(*x.shape[:2], *sums.shape[1:])
        h = c = x.new_zeros(len(x), self.filters, *sums.shape[3:])
        outputs = []
        for t in range(x.shape[1]):
            i, f, g, o = (sums[:, t] + self.of_h(h)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
        return torch.stack(outputs, 1)


class Frames(nn.Module):
    """A convolution of each image, pooling, an LSTM."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(1, 16, 3, padding=1)
        self.recurrent = nn.LSTM(16 * 12 * 12, 64, batch_first=True)
        self.output = nn.Linear(64, 10)

    def forward(self, x):
        z = functional.max_pool2d(torch.relu(self.convolution(x.flatten(0, 1))), 2)
        return self.output(self.recurrent(z.reshape(*x.shape[:2], -1))[0][:, -1])


class Places(nn.Module):
    """A ConvLSTM, and the mean over places of its last h."""

    def __init__(self):
        super().__init__()
        self.recurrent, self.output = ConvLSTM2d(1, 16), nn.Linear(16, 10)

    def forward(self, x):
        return self.output(self.recurrent(x)[:, -1].mean((2, 3)))


MODULES = {"frames": Frames, "convlstm": Places}
