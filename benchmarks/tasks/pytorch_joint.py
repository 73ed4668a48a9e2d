"""The network of snips_joint in PyTorch, with a plain loop."""

import numpy as np
import torch
from torch import nn

from . import pytorch, snips_joint


class Module(pytorch.Module):
    """Two embeddings, LSTM in both directions, a score for each tag and for each intent."""

    def __init__(self, network, words, endings, tags, intents):
        super().__init__(network, words, tags, per_step=True)
        self.endings = nn.Embedding(endings, snips_joint.ENDINGS)
        width = network.embedding + snips_joint.ENDINGS
        self.recurrent = nn.LSTM(width, network.units, batch_first=True, bidirectional=True)
        self.intent = nn.Linear(2 * network.units, intents)

    def forward(self, words, endings, lengths):
        x = self.dropout(torch.cat([self.embedding(words), self.endings(endings)], dim=2))
        h = self.dropout(self._steps(x, lengths))
        counts = torch.arange(h.shape[1])[None, :, None] < lengths[:, None, None]
        return self.output(h), self.intent(h.masked_fill(~counts, -torch.inf).amax(1))


class Joint(snips_joint.Joint):
    """As gatewise's, with another network."""

    def fit_network(self, inputs, tags, intents):
        chosen = self.network
        torch.manual_seed(self.seed)
        sizes = len(self.words_), len(self.endings_), len(self.tags_), len(self.intents_)
        self.network_ = Module(chosen, *sizes)
        words, endings, targets = map(tensor, (*inputs, tags))
        lengths, intents = (words > 0).sum(1), torch.tensor(intents)
        optimizer = torch.optim.Adam(self.network_.parameters(), chosen.rate)
        steps = chosen.epochs * -(-len(words) // chosen.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        loss = nn.CrossEntropyLoss(ignore_index=0)
        for _ in range(chosen.epochs):
            for rows in torch.randperm(len(words)).split(chosen.batch_size):
                most = int(lengths[rows].max())
                slots, intent = self.network_(
                    words[rows, :most], endings[rows, :most], lengths[rows]
                )
                optimizer.zero_grad()
                total = loss(slots.transpose(1, 2), targets[rows, :most])
                (total + nn.functional.cross_entropy(intent, intents[rows])).backward()
                nn.utils.clip_grad_norm_(self.network_.parameters(), 1.0)
                optimizer.step()
                schedule.step()

    def scores(self, inputs):
        words, endings = map(tensor, inputs)
        self.network_.eval()
        with torch.no_grad():
            found = self.network_(words, endings, (words > 0).sum(1))
        return [each.numpy() for each in found]


def tensor(rows):
    """Rows of numbers, padded with zeros."""
    return torch.from_numpy(pytorch.padded(rows, np.int64)["x"])
