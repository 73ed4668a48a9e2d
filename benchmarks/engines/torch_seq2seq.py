"""The network of gatewise.models.Seq2Seq in PyTorch: bidirectional LSTM, LSTM, attention."""

import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.jobs import token_lengths


class Seq2Seq(torch.nn.Module):
    """As many layers and units as gatewise's, attention "luong", "bahdanau" or None."""

    def __init__(self, source_size, target_size, units, embedding, attention="luong", dropout=0.0):
        super().__init__()
        self.attention, self.units = attention, units
        self.source = torch.nn.Embedding(source_size, embedding)
        self.target = torch.nn.Embedding(target_size, embedding)
        self.encoder = torch.nn.LSTM(embedding, units, batch_first=True, bidirectional=True)
        self.bridges = torch.nn.ModuleList(torch.nn.Linear(2 * units, units) for _ in "hc")
        read = embedding + units * (attention == "bahdanau")
        self.decoder = torch.nn.LSTM(read, units, batch_first=True)
        self.memory = torch.nn.Linear(2 * units, units, bias=False)
        self.keys = torch.nn.Linear(units, units, bias=False)
        self.query = torch.nn.Linear(units, units, bias=False)
        self.scale = torch.nn.Linear(units, 1, bias=False)
        self.combine = torch.nn.Linear(2 * units, units)
        self.output = torch.nn.Linear(units, target_size)
        self.dropout = torch.nn.Dropout(dropout)

    def encode(self, source, lengths=None):
        """Memory, its mask, and the decoder's first state."""
        x = self.dropout(self.source(source))
        if lengths is None:
            x, (h, c) = self.encoder(x)
            mask = None
        else:
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            x, (h, c) = self.encoder(packed)
            x, _ = pad_packed_sequence(x, batch_first=True)
            mask = torch.arange(x.shape[1]) < lengths[:, None]
        h, c = (torch.cat([state[0], state[1]], 1) for state in (h, c))
        state = torch.tanh(self.bridges[0](h))[None], self.bridges[1](c)[None]
        return self.memory(x), mask, state

    def attend(self, scores, memory, mask):
        """The weighted mean of the memory."""
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None], -torch.inf)
        return torch.softmax(scores, 2) @ memory

    def decode(self, target, memory, mask, state):
        """Scores of the next tokens, and the state."""
        x = self.dropout(self.target(target))
        if self.attention == "bahdanau":
            outputs, contexts, keys = [], [], self.keys(memory)
            for t in range(x.shape[1]):
                sums = torch.tanh(self.query(state[0][0])[:, None] + keys)
                context = self.attend(self.scale(sums).transpose(1, 2), memory, mask)
                y, state = self.decoder(torch.cat([x[:, t : t + 1], context], 2), state)
                outputs.append(y)
                contexts.append(context)
            y, context = torch.cat(outputs, 1), torch.cat(contexts, 1)
        else:
            y, state = self.decoder(x, state)
            context = self.attend(y @ memory.transpose(1, 2), memory, mask)
        y = torch.tanh(self.combine(torch.cat([y, context], 2)))
        return self.output(self.dropout(y)), state

    def loss(self, source, target, wanted, lengths=None):
        """Mean over all tokens that are not 0; `wanted` has the token after each of `target`."""
        scores, _ = self.decode(target, *self.encode(source, lengths))
        return cross_entropy(scores.flatten(0, 1), wanted.flatten(), ignore_index=0)

    @torch.inference_mode()
    def generate(self, source, lengths, start, end, most):
        """Targets of a batch, greedily; as lists."""
        memory, mask, state = self.encode(source, lengths)
        token = torch.full((len(source), 1), start)
        found = []
        for _ in range(most):
            scores, state = self.decode(token, memory, mask, state)
            token = scores.argmax(2)
            found.append(token)
        rows = torch.cat(found, 1).tolist()
        return [row[: row.index(end)] if end in row else row for row in rows]


def prepare_step(case):
    """A training step on random tokens, with Adam. Rows of different lengths are packed."""
    torch.manual_seed(0)
    model = Seq2Seq(
        case["tokens"], case["tokens"], case["units"], case["embedding"], case["attention"]
    )
    optimizer = torch.optim.Adam(model.parameters())
    lengths, target_lengths = map(torch.from_numpy, token_lengths(case))
    shape = case["batch"], int(lengths.max())
    source = torch.randint(3, case["tokens"], shape)
    target = torch.randint(3, case["tokens"], (case["batch"], int(target_lengths.max())))
    wanted = torch.cat([target[:, 1:], torch.full((case["batch"], 1), 2)], 1)
    wanted[torch.arange(wanted.shape[1]) >= target_lengths[:, None]] = 0
    if case["fewest"] == case["steps"]:
        lengths = None

    def step():
        optimizer.zero_grad()
        value = model.loss(source, target, wanted, lengths)
        value.backward()
        optimizer.step()
        return value.item()

    return step
