"""The network of sentiment in PyTorch, trained by skorch."""

import numpy as np
import torch
from torch import nn

from . import pytorch, sentiment


class Module(pytorch.Module):
    """Embedding, convolution over three words, LSTM, maximum over steps, one score."""

    def __init__(self, network, inputs):
        super().__init__(network, inputs, 1, per_step=False)
        width = network.embedding
        self.embedding = nn.Embedding(inputs, width, padding_idx=0)
        self.convolution = nn.Conv1d(width, width, 3, padding=1)

    def forward(self, x, lengths):
        x = self.dropout(self.embedding(x)).transpose(1, 2)
        h = self._steps(torch.relu(self.convolution(x)).transpose(1, 2), lengths)
        return self.output(self.dropout(self._pooled(h, lengths)))[:, 0]


class Averaged(sentiment.Averaged):
    """As gatewise's, with another network."""

    def fit_network(self, rows, praises):
        torch.manual_seed(self.seed)
        self.network_ = pytorch.trained_by_skorch(
            Module(self.network, len(self.words_)),
            self.network,
            len(rows),
            criterion=nn.BCEWithLogitsLoss,
            iterator_train__collate_fn=pytorch.cut,
            iterator_valid__collate_fn=pytorch.cut,
        )
        self.network_.fit(pytorch.padded(rows, np.int64), praises.astype(np.float32))

    def by_network(self, rows):
        scores = self.network_.forward_iter(pytorch.padded(rows, np.int64))
        return torch.cat(list(scores)).sigmoid().numpy()
