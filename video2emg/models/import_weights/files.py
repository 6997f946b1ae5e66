"""Reads files of tensors. None of the readers can be made to run code by a file."""

import hashlib
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from video2emg.core.errors import UserError

Tensors = dict[str, np.ndarray]

_TORCH = (".pt", ".pth", ".bin", ".ckpt")
# Wrappers around a state dict that training scripts like to save.
_NESTED = ("state_dict", "model_state_dict", "model", "base_model")


def read(path: str | pathlib.Path) -> Tensors:
    """All tensors of a file by name, floating point as float32.

    Args:
      path: `.safetensors`, `.npz`, or a PyTorch state dict (`.pt`, `.pth`, `.bin`, `.ckpt`; needs
        torch).

    Raises:
      UserError: missing, damaged, of another kind, or holding more than tensors.
    """
    path = pathlib.Path(path).expanduser()
    if not path.is_file():
        raise UserError(f"{path}: no such file of weights")
    if path.suffix == ".safetensors":
        found = _safetensors(path)
    elif path.suffix == ".npz":
        found = _npz(path)
    elif path.suffix in _TORCH:
        found = _torch(path)
    else:
        raise UserError(f"{path}: weights are read from .safetensors, .npz or {', '.join(_TORCH)}")
    return {name: _plain(value) for name, value in found.items()}


def fingerprint(path: str | pathlib.Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    path = pathlib.Path(path).expanduser()
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot read the weights ({error.strerror})") from None


def _plain(value: np.ndarray) -> np.ndarray:
    # kind V: bfloat16, which NumPy does not count among its floats
    return np.asarray(value, np.float32) if value.dtype.kind in "fV" else np.asarray(value)


def _safetensors(path: pathlib.Path) -> Mapping[str, np.ndarray]:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise UserError(
            f"{path}: reading it needs safetensors: pip install 'video2emg[pretrained]'"
        ) from None
    try:
        return safetensors.numpy.load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: damaged safetensors file ({error})") from None


def _npz(path: pathlib.Path) -> Mapping[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path}: damaged npz file, or one with pickled objects ({error})"
        ) from None


def _torch(path: pathlib.Path) -> Mapping[str, np.ndarray]:
    try:
        import torch
    except ImportError:
        raise UserError(
            f"{path}: PyTorch files need torch (pip install torch), or convert it to safetensors"
        ) from None
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Damaged zips, missing keys and refused pickles all come as different exceptions.
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not a plain PyTorch state dict ({first})") from None
    for key in _NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in found.values()
    ):
        raise UserError(f"{path}: expected a state dict, tensors by name")
    return {
        name: (value.float() if value.is_floating_point() else value).numpy()
        for name, value in found.items()
    }
