"""The range of muscle lengths in daily postures, from which optimal lengths follow.

Those of the anatomies in the package are in `length_ranges.yaml`, since computing them takes a
second or two whenever a model is opened. `python -m analyses.length_ranges` writes that file.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float

from video2emg.core import strict_yaml
from video2emg.physics import paths, skeleton
from video2emg.physics import vectors as v
from video2emg.physics.anatomy import HEIGHT, Anatomy, Group
from video2emg.physics.constants import BALL_RANGE, HINGE_RANGE
from video2emg.physics.skeleton import OUTWARD, Segments

KEPT = Path(__file__).with_name("length_ranges.yaml")  # fingerprint → muscle → range

_POSTURES = 1000
_WAYS = ("abduction", "flexion", "turn")
_RANGE = HINGE_RANGE | {
    f"{joint}_{way}": limits
    for joint, ranges in BALL_RANGE.items()
    for way, limits in zip(_WAYS, ranges, strict=True)
}


@functools.lru_cache(maxsize=32)
def length_range(
    anatomy: Anatomy, group: Group
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """First and 99th percentile of muscle lengths in random postures, m, at 1.75 m height."""
    kept = _kept().get(fingerprint(anatomy))
    if kept is None:
        return computed(anatomy, group)
    ranges = np.array([kept[name] for name in anatomy.group(group)], np.float32)
    return ranges[:, 0], ranges[:, 1]


@functools.cache
def _kept() -> Mapping[str, Mapping[str, Sequence[float]]]:
    return strict_yaml.load(KEPT.read_text(encoding="utf-8"), str(KEPT))


def fingerprint(anatomy: Anatomy) -> str:
    """Of all that the lengths depend on."""
    muscles = {name: muscle.path for name, muscle in anatomy.muscles.items()}
    geometry = anatomy.lengths, anatomy.clavicle, anatomy.surfaces, muscles
    text = json.dumps(geometry, default=dataclasses.asdict, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def computed(
    anatomy: Anatomy, group: Group
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """As `length_range`, of any anatomy."""
    rng = np.random.default_rng(0)
    angle = {
        name: rng.uniform(low, high, (2, 1, _POSTURES)).astype(np.float32)
        for name, (low, high) in _RANGE.items()
    }
    with jax.ensure_compile_time_eval():
        length = np.asarray(jax.jit(_lengths, static_argnums=(0, 1))(anatomy, group, angle))
    return tuple(np.percentile(length, p, axis=(0, 1, 2)).astype(np.float32) for p in (1, 99))  # pyright: ignore


def _lengths(anatomy: Anatomy, group: Group, angle: dict[str, jax.Array]) -> jax.Array:
    height = np.full(1, HEIGHT, np.float32)
    body = _posture(anatomy, angle)
    axes = {
        "trunk": skeleton.trunk_axes,
        "arm": skeleton.arm_axes,
        "leg": skeleton.leg_axes,
    }[group](body)
    return paths.muscle_paths(body, axes, group, anatomy, jax.numpy.asarray(height)).length


def _posture(anatomy: Anatomy, angle: dict[str, jax.Array]) -> Segments:
    """Segments of bodies in the given postures; both sides are independent."""
    trunk = {name: angle[name][:1] for name in _RANGE}
    about = v.about
    pelvis = about("z", 0.0 * trunk["thoracic"])
    abdomen = (
        about("y", trunk["lumbar_flexion"])
        @ about("x", trunk["lumbar_bend"])
        @ about("z", trunk["lumbar_turn"])
    )
    chest = abdomen @ about("y", trunk["thoracic"])
    clavicle = chest @ about("x", OUTWARD * angle["clavicle"])
    upper = clavicle @ _ball(angle, "shoulder")
    thigh = pelvis @ _ball(angle, "hip")
    shank = thigh @ about("y", angle["knee"])
    forearm = upper @ about("y", -angle["elbow"])
    rotation = {
        "pelvis": pelvis,
        "abdomen": abdomen,
        "chest": chest,
        "head": chest,
        "clavicle": clavicle,
        "scapula": clavicle,
        "upper_arm": upper,
        "forearm": forearm,
        "hand": forearm,
        "thigh": thigh,
        "shank": shank,
        "foot": shank @ about("y", -angle["ankle"]),
    }
    hips = 0.0 * pelvis[..., 0]
    return Segments(
        rotation, skeleton.origins(rotation, hips, HEIGHT + 0.0 * hips[..., 0], anatomy)
    )


def _ball(angle: dict[str, jax.Array], joint: str) -> jax.Array:
    abduction, flexion, turn = (angle[f"{joint}_{way}"] for way in _WAYS)
    return v.from_vector(jax.numpy.stack([OUTWARD * abduction, -flexion, OUTWARD * turn], -1))
