"""I3D, ST-GCN and MIA's transformer against independent implementations in PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from tests.models.published.parity import as_torch, close, draw, imported, same_gradients, weights
from tests.models.published.torch_models import TorchI3D, TorchMIA, TorchSTGCN, randomise
from video2emg.core import vocabulary
from video2emg.models.import_weights import LAYOUTS, convert
from video2emg.models.published import i3d, layers, mia, stgcn


@pytest.mark.parametrize(
    "window, strides",
    [((7, 7, 7), (2, 2, 2)), ((2, 1, 3), (1, 2, 1)), ((1, 1, 1), (1, 1, 1))],
)
@pytest.mark.parametrize("formulation", ["auto", "taps", "stack"])
def test_formulations_of_conv3d_agree(window, strides, formulation):
    x, kernel = draw(2, 5, 7, 8, 3), draw(*window, 3, 4, seed=1)
    expected = layers.conv3d(x, kernel, strides, "direct")
    np.testing.assert_allclose(layers.conv3d(x, kernel, strides, formulation), expected, atol=1e-4)


def test_unknown_formulation():
    with pytest.raises(ValueError, match="magic"):
        layers.conv3d(draw(1, 1, 1, 1, 1), draw(1, 1, 1, 1, 1), formulation="magic")


# Odd sizes: where padding by the stride and by TensorFlow's rule differ.
@pytest.mark.parametrize("frames, size, last", [(9, 49, "5b"), (4, 32, "3b")])
def test_i3d_features_and_gradients(frames, size, last):
    theirs = randomise(TorchI3D(narrow=16, last=last))
    ours = i3d.I3D(narrow=16, last=f"mixed_{last}")
    video = draw(1, frames, size, size, 3)
    variables = imported(theirs, "i3d", ours, video, method="features")
    expected = theirs.features(as_torch(video).permute(0, 4, 1, 2, 3)).permute(0, 2, 3, 4, 1)

    def apply(v):
        return ours.apply(v, video, method="features")

    close(jax.jit(apply)(variables), expected)
    if last == "3b":
        # Batch norms are frozen: the statistics get no gradient, here and there.
        same_gradients(
            variables,
            lambda v: jnp.square(apply(v)).mean(),
            theirs,
            "i3d",
            expected.square().mean(),
        )


def test_i3d_reads_both_families_of_names():
    theirs = randomise(TorchI3D(narrow=16, last="4b"))
    names = {
        "conv3d_1a": "Conv3d_1a",
        "conv3d_2": "Conv3d_2",
        "mixed": "Mixed",
        "branch_0": "b0",
        "branch_1.0": "b1a",
        "branch_1.1": "b1b",
        "branch_2.0": "b2a",
        "branch_2.1": "b2b",
        "branch_3.1": "b3b",
        "conv3d_0c_1x1": "logits",
        "batch3d": "bn",
    }
    renamed = {}
    for name, value in weights(theirs).items():
        for old, new in names.items():
            name = name.replace(old, new)
        renamed[name] = value
    model = i3d.I3D(narrow=16, last="mixed_4b")
    video = draw(1, 8, 32, 32, 3)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), video, method="features"))
    first = convert(weights(theirs), LAYOUTS["i3d"], shapes["params"])
    second = convert(renamed, LAYOUTS["i3d"], shapes["params"])
    jax.tree.map(np.testing.assert_array_equal, first, second)


@pytest.mark.parametrize("strategy", ["uniform", "spatial"])
def test_stgcn(strategy):
    shape = ((8, 1), (8, 1), (12, 2))
    graph = stgcn.adjacency(strategy)
    theirs = randomise(TorchSTGCN(graph, [w for w, _ in shape], [s for _, s in shape]))
    ours = stgcn.STGCN(strategy, layers=shape)
    pose = draw(2, 12, 25, 3)
    variables = imported(theirs, "stgcn", ours, pose)
    expected = theirs.features(as_torch(pose)).permute(0, 2, 3, 1)
    close(jax.jit(ours.apply)(variables, pose), expected)
    if strategy == "uniform":
        same_gradients(
            variables,
            lambda v: jnp.square(ours.apply(v, pose)).mean(),
            theirs,
            "stgcn",
            expected.square().mean(),
        )


def test_partitions_share_the_same_mean():
    uniform = stgcn.adjacency("uniform")[0]
    np.testing.assert_allclose(uniform.sum(0), 1, atol=1e-6)
    for strategy, parts in (("distance", 2), ("spatial", 3), ("spatial_1_hop", 3)):
        graph = stgcn.adjacency(strategy)
        assert len(graph) == parts
        np.testing.assert_allclose(graph.sum(0), uniform, atol=1e-6)
    hip, knee = 12, 13
    spatial = stgcn.adjacency("spatial")
    assert spatial[1, knee, hip] > 0 and spatial[2, hip, knee] > 0  # the knee is farther out
    assert stgcn.adjacency("spatial_1_hop")[1, hip, knee] > 0  # for that code, both are just far


def test_ntu_joints_of_flex():
    pose = draw(4, 21, 3)
    ntu = np.asarray(stgcn.ntu_of_flex(pose))
    place = vocabulary.FLEX_21.index
    hips = (pose[:, place("left_hip")] + pose[:, place("right_hip")]) / 2
    np.testing.assert_allclose(ntu[:, 0], hips, atol=1e-6)
    np.testing.assert_allclose(ntu[:, 1], (hips + pose[:, place("chest")]) / 2, atol=1e-6)
    np.testing.assert_allclose(ntu[:, 4], pose[:, place("left_shoulder")], atol=1e-6)
    np.testing.assert_allclose(ntu[:, 23], pose[:, place("right_hand")], atol=1e-6)


def test_a_squat_stays_deep_unless_frames_are_centred_by_themselves():
    pose = draw(1, 30, 25, 3)
    pose = pose.at[0, :, :, 1].add(jnp.linspace(0, -5, 30)[:, None])  # everything sinks
    clip = np.asarray(stgcn.normalise_skeleton(pose))
    frame = np.asarray(stgcn.normalise_skeleton(pose, per_frame=True))
    assert np.ptp(clip[0, :, 0, 1]) > 1 and np.abs(frame[0, :, 0]).max() < 1e-5
    length = np.linalg.norm(frame[0, :, 1], axis=-1)
    np.testing.assert_allclose(length, 1, atol=1e-4)


@pytest.mark.parametrize("inputs, outputs", [(75, 8), (50, 8), (8, 75)])
def test_mia(inputs, outputs):
    theirs = randomise(TorchMIA(inputs, outputs))
    ours = mia.MIATransformer(outputs, layers=2, heads=4, hidden=32)
    x, code = draw(3, 30, inputs) / 10, jnp.array([1.0, 0.4, 0.1])
    variables = imported(theirs, "mia", ours, x, code)
    expected = theirs(as_torch(x), as_torch(code))
    close(jax.jit(ours.apply)(variables, x, code), expected)
    unconditioned = theirs(as_torch(x), torch.full((3,), mia.NO_SUBJECT))
    close(jax.jit(ours.apply)(variables, x), unconditioned)
    if inputs == 75:
        same_gradients(
            variables,
            lambda v: jnp.square(ours.apply(v, x, code)).mean(),
            theirs,
            "mia",
            expected.square().mean(),
        )
