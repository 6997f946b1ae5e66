"""Weights that others published, into our modules: `load(path, layout, params)`.

`files` reads safetensors, PyTorch state dicts and npz without running anything they contain;
`layouts` says, as data, which of their tensors is which of our parameters.
"""

from video2emg.models.import_weights.convert import convert, load
from video2emg.models.import_weights.files import fingerprint, read
from video2emg.models.import_weights.layouts import LAYOUTS

__all__ = ["LAYOUTS", "convert", "fingerprint", "load", "read"]
