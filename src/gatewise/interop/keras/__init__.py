"""Models and weights from and to Keras, which need not be installed: h5py is enough.

`load_model` and `save_model` have whole models, `load_weights` and `save_weights` the weights of a
model that is there. `files` reads them without trust, HDF5 in a process apart (`hdf5`).
`layer_configs`, `graphs` and `exporting` convert configurations; `weight_paths` knows where files
have the weights of each layer, and `weights` reads and writes them.
"""

from gatewise.interop.keras.loading import load_model, load_weights
from gatewise.interop.keras.saving import save_model, save_weights

__all__ = ["load_model", "load_weights", "save_model", "save_weights"]
