"""Outlines of a body, front and back, and of its superficial muscles.

Drawn by hand for this project, on a canvas of 200 × 430 units per figure. The drawing is schematic:
its shapes are to be coloured and are not anatomically exact.
"""

import html

import numpy as np
from jaxtyping import Float

from video2emg.core import vocabulary

WIDTH, HEIGHT = 200.0, 430.0  # of one figure
SIDES = ("front", "back")

# Points are written "x,y x,y …", as in SVG; x counts from the middle line. Only the half on the
# viewer's right is listed.
_OUTLINE = (
    "0,8 13,11 19,28 16,46 10,57 11,67 30,76 47,83 56,96 59,120 64,150 70,180 75,204 80,222 "
    "77,236 70,237 64,222 58,198 50,170 44,145 40,122 38,142 36,168 39,196 45,218 45,244 42,280 "
    "37,308 38,334 34,370 29,398 38,412 35,418 16,418 14,404 16,370 13,336 14,308 9,268 3,224 "
    "0,219"
)
_FRONT = {
    "upper_trapezius": "11,66 16,72 34,79 22,82 9,76",
    "anterior_deltoid": "36,83 47,87 50,99 46,111 40,98",
    "medial_deltoid": "50,87 57,101 57,117 51,113 53,100",
    "pectoralis_major": "2,91 20,85 37,92 42,106 30,118 12,120 2,115",
    "biceps_brachii": "45,117 53,118 59,139 60,152 54,151 48,134",
    "brachioradialis": "55,157 63,158 68,177 71,194 65,189 58,172",
    "serratus_anterior": "30,124 37,121 36,140 31,149",
    "rectus_abdominis": "2,124 15,126 17,160 14,196 2,206",
    "external_oblique": "20,128 27,148 34,160 34,182 28,196 19,190",
    "rectus_femoris": "21,224 29,226 31,260 27,298 21,290 19,254",
    "vastus_lateralis": "33,226 42,238 41,272 35,303 30,296 34,262",
    "vastus_medialis": "16,264 19,290 25,303 18,308 13,290",
    "adductor_magnus": "6,228 17,228 16,254 12,264",
    "tibialis_anterior": "25,320 33,328 31,362 26,386 23,352",
}
_BACK = {
    "upper_trapezius": "1,60 9,64 14,72 36,80 24,90 1,92",
    "middle_trapezius": "1,95 24,93 33,96 20,108 1,114",
    "posterior_deltoid": "37,85 48,89 51,104 46,109 38,98",
    "medial_deltoid": "51,88 57,102 57,117 52,112 54,102",
    "triceps_brachii": "45,113 54,118 59,140 60,153 53,151 47,134",
    "latissimus_dorsi": "4,120 20,112 37,115 36,140 27,165 14,175",
    "erector_spinae": "2,142 9,146 12,176 11,198 2,202",
    "gluteus_medius": "16,186 30,182 39,197 27,203",
    "gluteus_maximus": "2,207 22,206 38,204 43,222 35,239 14,241 3,231",
    "biceps_femoris": "25,246 40,244 39,276 33,305 27,298",
    "semitendinosus": "9,247 22,247 24,288 19,307 14,292",
    "gastrocnemius": "15,314 24,311 36,317 36,342 29,357 24,345 18,355",
    "soleus": "19,360 25,353 32,359 29,385 22,387",
}


def figure(side: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Outline [n, 2] of one figure, and its muscles [n, 2] by channel name, as closed polygons.

    Args:
      side: `front` or `back`. The subject's left is on the viewer's right in front, and on the
        viewer's left from behind.
    """
    middle = np.array([WIDTH / 2, 0.0])
    half = _parse(_OUTLINE)
    outline = np.concatenate([half, half[::-1] * [-1, 1]])
    shapes = {}
    for muscle, points in (_FRONT if side == "front" else _BACK).items():
        for channel_side in vocabulary.SIDES:
            sign = 1 if (channel_side == "left") == (side == "front") else -1
            shape = _smooth(_parse(points) * [sign, 1])
            shapes[vocabulary.channel(channel_side, muscle)] = shape + middle
    return _smooth(outline) + middle, shapes


def svg(channels: tuple[str, ...]) -> str:
    """SVG of both figures side by side; the attribute `data-channel` of a shape names its channel.

    Args:
      channels: predicted; the other muscles are drawn as not predicted.
    """
    parts = []
    for n, side in enumerate(SIDES):
        outline, shapes = figure(side)
        inner = [f'<path class="skin" d="{_path(outline)}"/>']
        for channel, points in shapes.items():
            known = channel in channels
            label = channel.replace("_", " ") + ("" if known else ": not predicted")
            inner.append(
                f'<path class="muscle {"known" if known else "unknown"}" data-channel="{channel}" '
                f'd="{_path(points)}"><title>{html.escape(label)}</title></path>'
            )
        inner.append(f'<text x="{WIDTH / 2}" y="{HEIGHT + 14}">{side}</text>')
        for x, letter in (
            (22, "L" if side == "back" else "R"),
            (178, "R" if side == "back" else "L"),
        ):
            inner.append(f'<text x="{x}" y="70">{letter}</text>')
        parts.append(f'<g transform="translate({n * WIDTH} 0)">{"".join(inner)}</g>')
    return (
        f'<svg viewBox="0 0 {2 * WIDTH} {HEIGHT + 22}" role="img" '
        f'aria-label="Muscles coloured by activation at the cursor, front and back">'
        f"{''.join(parts)}</svg>"
    )


def _parse(points: str) -> Float[np.ndarray, "n 2"]:
    return np.array([pair.split(",") for pair in points.split()], float)


def _smooth(points: Float[np.ndarray, "n 2"], steps: int = 6) -> Float[np.ndarray, "m 2"]:
    """A closed Catmull-Rom spline through the points, `steps` points per segment."""
    before, after, beyond = (np.roll(points, shift, 0) for shift in (1, -1, -2))
    t = np.arange(steps)[:, None, None] / steps
    curve = 0.5 * (
        2 * points
        + (after - before) * t
        + (2 * before - 5 * points + 4 * after - beyond) * t**2
        + (3 * points - before - 3 * after + beyond) * t**3
    )
    return curve.swapaxes(0, 1).reshape(-1, 2)


def _path(points: np.ndarray) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "Z"
