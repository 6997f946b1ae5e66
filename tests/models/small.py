"""Small models and batches for tests. Parameters and compiled functions are kept per model."""

import functools

import jax
import ml_collections
import numpy as np

from configs import v2emg
from video2emg import models
from video2emg.core import vocabulary

DOFS = ("left_knee_extension", "right_knee_extension", "lumbar_extension")
SHAPE = dict(
    frames=10, size=16, frame_rate=10.0, emg_rate=50.0, joints=vocabulary.FLEX_21, dofs=DOFS
)
CNN = dict(name="cnn", widths=(4, 8), dim=16, patch=4, motion=True)
TUBELET = dict(
    name="tubelet", dim=16, layers=1, heads=2, patch=8, stride=2, remat="none", scan=False
)
POSE = dict(name="pose")


def config(encoder=None, **settings):
    """`config.model` of the default configuration with small layers, and `settings` changed."""
    config = v2emg.get_config().model
    config.update(dim=16, heads=2, layers=1, predicted_mae=False)
    config.pose_network.update(rate=50.0, dim=16, width=8, contexts=3, context_s=0.4, depth=1)
    config.encoder = ml_collections.ConfigDict(encoder or CNN)
    config.update(settings)
    return config


def batch(b=2, v=2, t=10, s=16, m=4):
    """Video, pose and queries."""
    rng = np.random.default_rng(0)
    return {
        "video": rng.integers(0, 255, (b, v, t, s, s, 3)).astype(np.uint8),
        "video_mask": np.ones((b, v, t), bool),
        "view": np.tile(np.arange(v, dtype=np.int32), (b, 1)),
        "muscle": rng.integers(0, 9, (b, m)).astype(np.int32),
        "side": np.tile(np.arange(m, dtype=np.int32) % 2, (b, 1)),
        "pose": rng.normal(size=(b, t, 21, 3)).astype(np.float32),
        "pose_mask": np.ones((b, t, 21), bool),
        "held": np.tile(np.array([1, 1, 0, 0, 0], np.float32), (b, 1)),
        "held_mask": np.ones(b, bool),
    }


def full_batch():
    """A `batch` with all auxiliary inputs, with measured EMG and the true pose."""
    rng = np.random.default_rng(1)
    given = batch()
    return given | {
        "true_pose": given["pose"],
        "true_pose_mask": given["pose_mask"],
        "load": np.array([20.0, 60.0], np.float32),
        "load_mask": np.ones(2, bool),
        "vitals": np.array([[90.0, 16.0], [140.0, 30.0]], np.float32),
        "vitals_mask": np.ones((2, 2), bool),
        "traits": np.array([[1.8, 80.0, 0.0], [1.6, 55.0, 1.0]], np.float32),
        "traits_mask": np.ones((2, 3), bool),
        "emg": rng.random((2, 50, 4)).astype(np.float32),
        "emg_mask": np.ones((2, 50, 4), bool),
    }


@functools.cache
def _params(model):
    return jax.jit(functools.partial(model.init, train=False))(jax.random.key(0), full_batch())


@functools.cache
def _apply(model, train):
    rngs = {"dropout": jax.random.key(1)} if train else {}
    return jax.jit(functools.partial(model.apply, train=train, rngs=rngs))


def build(encoder=None, shape=SHAPE, **settings):
    """A model and its initial parameters; these are shared, so copy what you change."""
    model = models.build(config(encoder, **settings), **shape)
    return model, jax.tree.map(lambda x: x, _params(model))


def apply(model, params, inputs, train=False):
    """Outputs and intermediate tensors."""
    return _apply(model, train)(params, inputs)


def emg(model, params, inputs, train=False):
    """The predicted EMG."""
    return np.asarray(apply(model, params, inputs, train)[0].emg)
