"""Reads files of tensors. No reader runs code from a file."""

import hashlib
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from video2emg.core.errors import UserError

Tensors = dict[str, np.ndarray]

_TORCH = (".pt", ".pth", ".bin", ".ckpt")
# Keys under which training scripts store the state dict.
_NESTED = ("state_dict", "model_state_dict", "model", "base_model")


def read(path: str | pathlib.Path) -> Tensors:
    """All tensors of a file by name; floating point values as float32.

    Args:
      path: `.safetensors`, `.npz`, or a PyTorch state dict (`.pt`, `.pth`, `.bin`, `.ckpt`; needs
        torch).

    Raises:
      UserError: the file is missing, damaged, of another type, or holds more than tensors.
    """
    path = pathlib.Path(path).expanduser()
    if not path.is_file():
        raise UserError(f"{path}: no such file of weights")
    if path.suffix == ".safetensors":
        tensors = _safetensors(path)
    elif path.suffix == ".npz":
        tensors = _npz(path)
    elif path.suffix in _TORCH:
        tensors = _torch(path)
    else:
        raise UserError(f"{path}: weights are read from .safetensors, .npz or {', '.join(_TORCH)}")
    return {name: _float32(value) for name, value in tensors.items()}


def fingerprint(path: str | pathlib.Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    path = pathlib.Path(path).expanduser()
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot read the weights ({error.strerror})") from None


def _float32(value: np.ndarray) -> np.ndarray:
    # Kind V is bfloat16, which is no floating point type of NumPy.
    return np.asarray(value, np.float32) if value.dtype.kind in "fV" else np.asarray(value)


def _safetensors(path: pathlib.Path) -> Mapping[str, np.ndarray]:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise UserError(
            f"{path}: reading it needs safetensors: pip install '.[pretrained]'"
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
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Damaged zips, missing keys and refused pickles raise different exceptions.
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not a plain PyTorch state dict ({first})") from None
    for key in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise UserError(f"{path}: expected a state dict, tensors by name")
    return {
        name: (value.float() if value.is_floating_point() else value).numpy()
        for name, value in content.items()
    }
