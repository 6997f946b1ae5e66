import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models import small
from tests.models.small import apply
from tests.physics import placed
from video2emg.core import vocabulary
from video2emg.core.equipment import PLACES
from video2emg.core.errors import UserError
from video2emg.models import build
from video2emg.models.mechanics_prior import MechanicsOnly, MechanicsPrior, body_and_load, start
from video2emg.models.mechanics_prior import _with_masks as with_masks

SHAPE = small.SHAPE | dict(frames=50, frame_rate=25.0, emg_rate=50.0)


def batch(samples: int = 50) -> dict[str, np.ndarray]:
    """A squat and the same with another load, with all fields about body and load."""
    pose, known, height, *_ = placed.window("barbell_squat", samples)
    hips = pose[:, :, [vocabulary.FLEX_21.index(f"{s}_hip") for s in vocabulary.SIDES]].mean(2)
    two = functools.partial(np.repeat, repeats=2, axis=0)
    shares = np.zeros((2, len(PLACES)), np.float32)
    shares[:, 2] = 1.0
    return {
        "pose": two(pose - hips[:, :, None]),
        "pose_mask": two(known),
        "video_mask": np.zeros((2, 0, samples), bool),
        "muscle": np.full((2, 2), vocabulary.MUSCLES.index("vastus_lateralis"), np.int32),
        "side": np.tile(np.arange(2, dtype=np.int32), (2, 1)),
        "load": np.array([20.0, 80.0], np.float32),
        "load_mask": np.ones(2, bool),
        "held": shares,
        "held_mask": np.ones(2, bool),
        "height": two(height),
        "height_mask": np.ones(2, bool),
        "traits": np.tile(np.array([1.75, 75.0, 0.0], np.float32), (2, 1)),
        "traits_mask": np.ones((2, 3), bool),
    }


def prior(*inputs: str) -> MechanicsPrior:
    return MechanicsPrior(
        joints=vocabulary.FLEX_21,
        frame_rate=25.0,
        rate=12.5,
        emg_rate=50.0,
        inputs=("held", "height", *inputs),
        anatomy="simulated",
        cutoff=0.0,
        force_error=0.0,
        lever_error=0.0,
    )


@functools.cache
def _compiled(*inputs: str):
    # Operation by operation, the mechanics would take half a minute to compile.
    return jax.jit(lambda arrays: MechanicsOnly(prior(*inputs)).apply({}, arrays).emg)


def mechanics_only(arrays, *inputs: str) -> jax.Array:
    """EMG by mechanics, of which the inputs are told."""
    return _compiled(*inputs)(arrays)


def init(model, fields):
    """Parameters of a model, compiled as a whole for the same reason."""
    return jax.jit(functools.partial(model.init, train=False))(jax.random.key(0), fields)


def settings(**changed):
    config = small.config(small.POSE, **changed)
    config.pose_network.rate = 12.5
    config.mechanics.update(anatomy="simulated", force_error=0.0, lever_error=0.0)
    return config


def test_mechanics_only_see_the_load_if_it_is_told():
    told = mechanics_only(batch(), "load")
    hidden = mechanics_only(batch())
    assert told.shape == (2, 100, 2)
    assert float(told[1].mean()) > 1.5 * float(told[0].mean())
    np.testing.assert_allclose(hidden[0], hidden[1], atol=1e-6)


def test_an_untrained_model_starts_at_the_prior():
    model = build(settings(), **SHAPE)
    params = init(model, batch())
    flat = dict(params["params"]["decoder"])
    flat["samples"] = jax.tree.map(jnp.zeros_like, flat["samples"])
    emg = apply(model, {"params": params["params"] | {"decoder": flat}}, batch())[0].emg
    expected = mechanics_only(batch())
    np.testing.assert_allclose(emg, np.maximum(expected, 0.005), atol=1e-3)


def test_muscles_of_unknown_joints_do_not_start_at_the_prior():
    hidden = batch()
    hidden["pose_mask"] = hidden["pose_mask"].copy()
    hidden["pose_mask"][..., vocabulary.FLEX_21.index("left_knee")] = False
    emg = mechanics_only(hidden)
    assert bool(jnp.isnan(emg[..., 0]).all()) and bool(jnp.isfinite(emg[..., 1]).all())


@pytest.mark.parametrize("train", [True, False])
def test_a_hidden_pose_leaves_the_mechanics(train):
    """In training the network itself sees nothing of the pose; the mechanics see all of it."""
    config = settings()
    config.mechanics.hide_pose = 1.0
    config.dropout = 0.0
    model = build(config, **SHAPE)
    params = init(model, batch())
    other = batch()
    other["pose"] = other["pose"] + np.float32(0.05)  # another place: the same mechanics

    @jax.jit
    def emg(fields):
        key = {"dropout": jax.random.key(1)}
        return model.apply(params, fields, train=train, rngs=key)[0].emg

    changed = np.abs(emg(batch()) - emg(other)).max()
    assert changed < 1e-3 if train else changed > 5e-3


def test_a_slow_pose_with_gaps_is_interpolated_between_what_is_known():
    slow = prior().clone(frame_rate=12.5)
    fields = batch()
    seen = {name: fields[name][:, ::2].copy() for name in ("pose", "pose_mask")}
    mechanics = jax.jit(lambda arrays: MechanicsOnly(slow).apply({}, arrays).emg)
    complete = mechanics(fields | seen)
    knee = vocabulary.FLEX_21.index("left_knee")
    gap = {name: value.copy() for name, value in seen.items()}
    gap["pose"][:, 12, knee], gap["pose_mask"][:, 12, knee] = 0.0, False
    broken = mechanics(fields | gap)
    both = np.isfinite(broken) & np.isfinite(complete)
    far = np.abs(np.arange(broken.shape[1]) - 12 * 4) > 16
    np.testing.assert_allclose(
        np.where(both, broken, 0)[:, far], np.where(both, complete, 0)[:, far], atol=0.05
    )


def test_body_and_load_fall_back_to_an_average():
    height, mass, held = body_and_load(with_masks({}, 3, ()))
    np.testing.assert_allclose(height, 1.75)
    np.testing.assert_allclose(mass, 23.7 * 1.75**2)
    np.testing.assert_allclose(held, 0.0)


@pytest.mark.parametrize(
    "shares, expected", [((1, 1, 0, 0, 0), 6.0), ((0.5, 0.5, 0, 0, 0), 15.0), ((0, 0, 1, 0, 0), 30)]
)
def test_an_unknown_load_is_typical_of_the_equipment(shares, expected):
    fields = batch() | {"load_mask": np.zeros(2, bool), "held": np.array([shares] * 2, np.float32)}
    fields = {name: jnp.asarray(value) for name, value in fields.items()}
    held = body_and_load(with_masks(fields, 2, ("load", "held")))[2]
    assert float(held.max()) == expected


def test_start_inverts_the_output():
    values = jnp.array([0.01, 0.2, 0.9])
    np.testing.assert_allclose(
        0.3 * jax.nn.softplus(start(values, jnp.float32(0.3))), values, rtol=1e-4
    )


def test_a_causal_model_cannot_use_mechanics():
    with pytest.raises(UserError, match="mechanics look ahead"):
        config = small.config(causal=True)
        config.mechanics.anatomy = "simulated"
        build(config, **small.SHAPE)
