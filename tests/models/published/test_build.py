"""Published systems and encoders as the configuration selects them."""

import flax.linen as nn
import jax
import ml_collections
import numpy as np
import pytest

from configs import baselines, v2emg
from video2emg import models
from video2emg.core.errors import UserError
from video2emg.run import setup

SHAPE = dict(frames=16, frame_rate=5.0, emg_rate=50.0)
ENCODERS = {
    "i3d": dict(narrow=16),
    "vit": dict(dim=16, layers=1, heads=2, hidden=8),
    "videomae": dict(dim=16, layers=1, heads=2, hidden=8),
    "videoprism": dict(dim=16, heads=2, hidden=8, spatial=1, temporal=1, patch=16),
}


def batch(size):
    return {
        "video": np.zeros((1, 2, 16, size, size, 3), np.uint8),
        "video_mask": np.ones((1, 2, 16), bool),
        "view": np.zeros((1, 2), np.int32),
        "muscle": np.zeros((1, 4), np.int32),
        "side": np.zeros((1, 4), np.int32),
        "pose": np.zeros((1, 16, 21, 3), np.float32),
        "pose_mask": np.ones((1, 16, 21), bool),
    }


def emg_shape(config, size=32):
    model = models.build(config, size=size, **SHAPE)
    inputs = batch(size)

    def emg():
        # Not all of `Outputs`: the type checker accepts no shapes for its fields.
        (outputs, _), _ = model.init_with_output(jax.random.key(0), inputs, train=False)
        return outputs.emg

    return jax.eval_shape(emg).shape


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders(name):
    config = v2emg.get_config("debug").model
    config.encoder = ml_collections.ConfigDict(dict(name=name, **ENCODERS[name]))
    assert emg_shape(config) == (1, 160, 4)


@pytest.mark.parametrize("name", baselines.SYSTEMS)
def test_systems(name):
    assert emg_shape(baselines.get_config(name).model) == (1, 160, 4)
    ours, theirs = v2emg.get_config("six"), baselines.get_config(name)
    assert theirs.data.views == () and theirs.data.frame_rate == 25
    theirs.data.update(views=ours.data.views, frame_rate=ours.data.frame_rate)
    theirs.augment.cameras = ours.augment.cameras  # there is no other difference
    for part in ("data", "train", "eval", "augment"):
        assert ours[part].to_dict() == theirs[part].to_dict()


@pytest.mark.parametrize("name", baselines.ENCODERS)
def test_encoders_of_full_size(name):
    """Frames, image size and rates of the configuration fit the encoder."""
    config = baselines.get_config(name)
    model = setup.build_model(config, setup.window_from_config(config))
    assert isinstance(model, nn.Module)
    assert model.encoder.stride == {"i3d": 8, "videomae": 2}.get(name, 1)


def test_invalid_settings_are_named():
    config = baselines.get_config("mia_debug").model
    config.system.name = "magic"
    with pytest.raises(UserError, match=r"system\.name: 'magic'"):
        models.build(config, size=32, **SHAPE)
    with pytest.raises(UserError, match="multiple of frame_rate"):
        models.build(baselines.get_config("tds").model, size=32, **SHAPE | {"frame_rate": 15.0})
    with pytest.raises(ValueError, match="unknown 'magic'"):
        baselines.get_config("magic")
