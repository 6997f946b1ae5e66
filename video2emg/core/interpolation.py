"""Interpolation of many channels at once."""

import numpy as np
from jaxtyping import Float


def linear(
    values: Float[np.ndarray, "N *D"],
    times: Float[np.ndarray, " N"],
    wanted: Float[np.ndarray, " M"],
) -> Float[np.ndarray, "M *D"]:
    """Values at other instants, on straight lines between the given ones; the ends are held.

    Args:
      values: finite, of one channel or more.
      times: of the values, increasing.
      wanted: instants, in the unit of `times`.

    Returns:
      float64.
    """
    channels = values.reshape(len(values), -1).T
    columns = np.stack([np.interp(wanted, times, channel) for channel in channels], 1)
    return columns.reshape(len(wanted), *values.shape[1:])
