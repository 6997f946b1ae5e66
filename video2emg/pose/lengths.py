"""Lengths of segments: as fractions of body height, and what they say about depth."""

import dataclasses

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from video2emg.core.body_frame import HEIGHT, LIMBS, TRUNK
from video2emg.core.pose_track import CAMERA, PoseTrack
from video2emg.core.vocabulary import SIDES

# Half widths as fractions of body height, as the simulated body has them.
HIP, SHOULDER = 0.052, 0.118
_LEG = (("hip", "knee"), ("knee", "ankle"))
# Joints that are carried along with another one, at their own usual distance.
_CARRIED = {
    "ankle": ("heel", "toe", "small_toe"),
    "wrist": ("pinky", "index", "thumb", "hand", "fingertip"),
}

# A phone's camera films about 60° along the longer edge: its focal length is 0.875 of that edge.
# The angles hardly depend on it (0.1° between 0.75 and 1).
_FOCAL = 0.875
_DEPTH_SD, _LENGTH_SD = 0.1, 0.05  # m: errors of the net's depth of a segment, and of a length
_STEPS = 221  # depths that are tried, between the two ends of a segment
_REACH = 1.1  # of the segment's length
_CHUNK = 4096  # instants at a time
_STEADY_S = 2.0  # s over which the distance from the camera is smoothed


def net_height(track: PoseTrack) -> float:
    """Body height by thighs, shanks and trunk, in the unit of the track; NaN if they are unseen.

    The net's arms are too short, and therefore do not count.
    """
    lengths = [
        np.linalg.norm(track.at(f"{side}_{lower}") - track.at(f"{side}_{upper}"), axis=1)
        for side in SIDES
        for upper, lower in _LEG
    ]
    lengths.append(np.linalg.norm(_middle(track, "shoulder") - _middle(track, "hip"), axis=1))
    fractions = np.array([*[LIMBS[part] for part in _LEG] * 2, 2 * TRUNK])
    medians = np.array([_median(length) for length in lengths]) * [1, 1, 1, 1, 2]
    known = np.isfinite(medians)
    return float(medians[known].sum() / fractions[known].sum()) if known.any() else float("nan")


def _middle(track: PoseTrack, part: str) -> np.ndarray:
    return (track.at(f"left_{part}") + track.at(f"right_{part}")) / 2


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def refine_depth(track: PoseTrack, size: tuple[int, int]) -> PoseTrack:
    """Puts the joints on the rays through their points in the picture, at the best depth.

    A net's points in the picture are far better than its depth. Hips and shoulders get the depth
    that the net gives them. Along each limb, the depth of the next joint is the mean of what is
    possible, weighted by how well it fits to the net's depth of the segment (standard deviation
    0.1 m) and to the length that the segment has in a body of this height (0.05 m). The mean does
    not jump where a limb may point towards the camera as well as away from it.

    Args:
      track: in the camera's axes, with points in the picture, smoothed.
      size: width and height of the picture, px.
    """
    if track.axes != CAMERA or track.points_2d is None:
        raise ValueError("depth is refined in the camera's axes, with points in the picture")
    height = net_height(track)
    if not np.isfinite(height):
        return track
    focal = _FOCAL * max(size)
    rays = (track.points_2d - np.array(size, track.points_2d.dtype) / 2) / focal
    rays = np.concatenate([rays, np.ones_like(rays[..., :1])], -1)
    away = _translation(track, rays[..., :2])
    depth = track.joints[..., 2] + away[:, None].astype(rays.dtype)
    placed = rays * depth[..., None]
    index = {name: i for i, name in enumerate(track.names)}
    for (upper, lower), fraction in LIMBS.items():
        for side in SIDES:
            a, b = index[f"{side}_{upper}"], index[f"{side}_{lower}"]
            deeper = track.joints[:, b, 2] - track.joints[:, a, 2]
            z = _limb_depth(placed[:, a], rays[:, b], deeper, fraction * height)
            moved = rays[:, b] * z[:, None]
            for carried in _CARRIED.get(lower, ()):
                i = index.get(f"{side}_{carried}")
                if i is not None:
                    own = track.joints[:, i, 2] - track.joints[:, b, 2]
                    placed[:, i] = rays[:, i] * (z + own)[:, None]
            placed[:, b] = moved
    return dataclasses.replace(track, joints=placed)


def _translation(track: PoseTrack, rays: Float[np.ndarray, "T J 2"]) -> Float[np.ndarray, " T"]:
    """How far the middle of the hips is from the camera at each instant, m.

    The joints, moved by (x, y, z), shall lie on their rays; least squares of shoulders, hips, knees
    and ankles, weighted by confidence.
    """
    parts = ("shoulder", "hip", "knee", "ankle")
    chosen = [track.names.index(f"{side}_{part}") for side in SIDES for part in parts]
    joints, u = track.joints[:, chosen], rays[:, chosen]
    known = np.isfinite(joints.sum(2, keepdims=True) + u.sum(2, keepdims=True))
    weight = np.where(known[..., 0], track.confidence[:, chosen], 0.0)
    joints, u = np.where(known, joints, 0.0), np.where(known, u, 0.0)
    rows, right = [], []
    for axis in (0, 1):
        row = np.zeros((*weight.shape, 3))
        row[..., axis], row[..., 2] = 1.0, -u[..., axis]
        rows.append(row * weight[..., None])
        right.append((u[..., axis] * joints[..., 2] - joints[..., axis]) * weight)
    a, b = np.concatenate(rows, 1), np.concatenate(right, 1)
    normal = np.einsum("tni,tnj->tij", a, a) + 1e-9 * np.eye(3)
    moved = np.linalg.solve(normal, np.einsum("tni,tn->ti", a, b)[..., None])[:, 2, 0]
    enough = (weight > 0).sum(1) >= 3
    if not enough.any():
        return np.full(len(moved), np.nan)
    filled = np.interp(track.times, track.times[enough], moved[enough])
    width = max(round(_STEADY_S * track.rate), 1) if len(filled) > 1 else 1
    return ndimage.median_filter(filled, width, mode="nearest")


def _limb_depth(
    start: Float[np.ndarray, "T 3"],
    ray: Float[np.ndarray, "T 3"],
    deeper: Float[np.ndarray, " T"],
    length: float,
) -> Float[np.ndarray, " T"]:
    """Depth of the end of a segment on its ray, m; NaN where anything is unknown.

    Args:
      start: beginning of the segment.
      ray: (x/z, y/z, 1) of its end.
      deeper: what the net says of its end's depth less that of its start.
      length: of the segment, m.
    """
    tried = np.linspace(-_REACH, _REACH, _STEPS) * length
    depth = np.full(len(start), np.nan)
    for first in range(0, len(start), _CHUNK):
        part = slice(first, first + _CHUNK)
        z = start[part, 2, None] + tried
        ends = ray[part, None] * z[..., None]
        found = np.linalg.norm(ends - start[part, None], axis=-1)
        cost = ((tried - deeper[part, None]) / _DEPTH_SD) ** 2
        cost = cost + ((found - length) / _LENGTH_SD) ** 2
        likely = np.exp(-0.5 * (cost - cost.min(1, keepdims=True)))
        depth[part] = (likely * z).sum(1) / likely.sum(1)
    return depth


def with_lengths(track: PoseTrack, height: float = HEIGHT) -> PoseTrack:
    """A body of known lengths, whose segments point where those of the track do.

    The origin is the middle of the hips. Joints that do not belong to a segment (head, hands, feet)
    keep their direction from the next one, at their usual distance.

    Args:
      track: any axes.
      height: of the body, m.
    """
    scale = height / own if np.isfinite(own := net_height(track)) and own > 0 else 1.0
    index = {name: i for i, name in enumerate(track.names)}
    source, placed = track.joints, np.full_like(track.joints, np.nan)
    hips, shoulders = (_middle(track, part) for part in ("hip", "shoulder"))
    chest = TRUNK * height * _unit(shoulders - hips)
    for side in SIDES:
        for part, middle, at, half in (
            ("hip", hips, np.zeros_like(chest), HIP),
            ("shoulder", shoulders, chest, SHOULDER),
        ):
            i = index[f"{side}_{part}"]
            placed[:, i] = at + half * height * _unit(source[:, i] - middle)
        for (upper, lower), fraction in LIMBS.items():
            a, b = index[f"{side}_{upper}"], index[f"{side}_{lower}"]
            placed[:, b] = placed[:, a] + fraction * height * _unit(source[:, b] - source[:, a])
    carriers = {f"{s}_{p}": f"{s}_{to}" for to, ps in _CARRIED.items() for p in ps for s in SIDES}
    for name, i in index.items():
        if name in carriers:
            at, root = placed[:, index[carriers[name]]], source[:, index[carriers[name]]]
        elif np.isnan(placed[:, i]).all():
            at, root = chest, shoulders
        else:
            continue
        offset = source[:, i] - root
        usual = _median(np.linalg.norm(offset, axis=1))
        placed[:, i] = at + scale * usual * _unit(offset)
    return dataclasses.replace(track, joints=placed)


def _unit(vector: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, "T 3"]:
    """NaN for a vector without length."""
    length = np.linalg.norm(vector, axis=1, keepdims=True)
    return vector / np.where(length > 0, length, np.nan)
