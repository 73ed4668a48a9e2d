"""Makes the files of PyTorch that the tests of gatewise.interop.torch read.

    python tests/files/interop/make_torch.py

Written by PyTorch 2.13.0 and safetensors 0.8: a small network in the formats of ``torch.save``, in
safetensors and in bfloat16, inputs and what the network returns, and a checkpoint with the state of
Adam after three steps.
"""

from pathlib import Path

import numpy as np
import safetensors.torch
import torch

HERE = Path(__file__).resolve().parent


class Net(torch.nn.Module):
    """Tokens to two numbers for each step."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(11, 6)
        self.lstm = torch.nn.LSTM(6, 5, num_layers=2, batch_first=True, bidirectional=True)
        self.gru = torch.nn.GRU(10, 7, batch_first=True)
        self.rnn = torch.nn.RNN(7, 3, batch_first=True, bias=False)
        self.norm = torch.nn.LayerNorm(3)
        self.out = torch.nn.Linear(3, 2)

    def forward(self, tokens):
        x, _ = self.lstm(self.embedding(tokens))
        x, _ = self.gru(x)
        x, _ = self.rnn(x)
        return self.out(self.norm(x))


def main():
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    tokens = torch.from_numpy(np.random.default_rng(0).integers(0, 11, (3, 9)))
    for _ in range(3):
        optimizer.zero_grad()
        net(tokens).square().mean().backward()
        optimizer.step()
    state = net.state_dict()
    torch.save(state, HERE / "torch_zip.pt")
    torch.save(state, HERE / "torch_legacy.pt", _use_new_zipfile_serialization=False)
    torch.save({k: v.bfloat16() for k, v in state.items()}, HERE / "torch_bfloat16.pt")
    torch.save(
        {"state_dict": state, "optimizer_state_dict": optimizer.state_dict(), "epoch": 3},
        HERE / "torch_checkpoint.pt",
    )
    torch.save(net.out, HERE / "torch_module.pt")
    safetensors.torch.save_file(state, HERE / "torch.safetensors")
    np.savez(
        HERE / "torch_expected.npz", tokens=tokens.numpy(), outputs=net(tokens).detach().numpy()
    )


if __name__ == "__main__":
    main()
