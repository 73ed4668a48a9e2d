"""Weights from and to PyTorch, which need not be installed.

`load_state_dict` puts a state_dict into a model, `state_dict` makes one of a model, and
`from_state_dict` makes a model of one.

`files` reads what ``torch.save`` and safetensors write, with `pickled` and `tensors`; `sources`
reads what users give. `modules` finds the modules in a state_dict, `units` the layers of a model;
`matching` brings both together, and `weights` converts one into the other.
"""

from gatewise.interop.torch.building import from_state_dict
from gatewise.interop.torch.loading import load_state_dict
from gatewise.interop.torch.saving import state_dict

__all__ = ["from_state_dict", "load_state_dict", "state_dict"]
