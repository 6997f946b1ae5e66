"""Imports published weights: `load(path, layout, shapes)`.

`files` reads safetensors, PyTorch state dicts and npz files without running code in them; `layouts`
maps the names of their tensors to the names of our parameters.
"""

from video2emg.models.import_weights.convert import convert, load
from video2emg.models.import_weights.files import fingerprint, read
from video2emg.models.import_weights.layouts import LAYOUTS

__all__ = ["LAYOUTS", "convert", "fingerprint", "load", "read"]
