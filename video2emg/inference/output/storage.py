"""OpenSim's tables of numbers over time: `.sto`, and `.mot` for joint angles."""

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def storage(
    name: str,
    time: Float[np.ndarray, " K"],
    columns: Sequence[str],
    values: Float[np.ndarray, "K X"],
    degrees: bool = False,
) -> str:
    """A table as text.

    Args:
      name: first line of the file.
      time: s.
      columns: X names.
      values: NaN where unknown, which OpenSim reads as such.
      degrees: whether the values are angles in degrees.
    """
    head = f"{name}\nversion=1\nnRows={len(time)}\nnColumns={len(columns) + 1}\n"
    head += f"inDegrees={'yes' if degrees else 'no'}\nendheader\n"
    head += "\t".join(["time", *columns]) + "\n"
    rows, formats = io.StringIO(), ["%.6f", *["%.6g"] * len(columns)]
    np.savetxt(rows, np.column_stack([time, values]), formats, delimiter="\t")
    return head + rows.getvalue().replace("nan", "NaN")
