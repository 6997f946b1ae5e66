"""Pixel normalisation for pretrained encoders."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32)

# symmetric: [-1, 1]; unit: [0, 1]; imagenet: standardised by ImageNet's mean and deviation.
NORMALISATIONS = ("symmetric", "unit", "imagenet")


def normalise(pixels: Float[Array, "*B 3"], kind: str) -> Float[Array, "*B 3"]:
    """Converts pixels from [-1, 1], the range that encoders get, to another normalisation.

    Raises:
      ValueError: an unknown kind.
    """
    if kind not in NORMALISATIONS:
        raise ValueError(f"pixels: {kind!r} is not one of {NORMALISATIONS}")
    if kind == "symmetric":
        return pixels
    unit = (pixels + 1) / 2
    if kind == "unit":
        return unit
    return ((unit - jnp.asarray(_IMAGENET_MEAN)) / jnp.asarray(_IMAGENET_STD)).astype(pixels.dtype)
