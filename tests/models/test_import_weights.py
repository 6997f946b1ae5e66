import json

import jax
import numpy as np
import pytest
import safetensors.numpy
import torch

from video2emg.core.errors import UserError
from video2emg.models import import_weights
from video2emg.models.import_weights.layouts import LAYOUTS, TRANSFORMS, Layout, Rule

LAYOUT = Layout(
    [
        Rule(r"a\.(\d)\.weight", r"layer_\1/kernel", "dense"),
        Rule(r"q", "query/kernel", "into_heads"),
        Rule(r"head\..*", None),
    ]
)
SHAPES = {"layer_0": {"kernel": np.zeros((2, 3))}, "query": {"kernel": np.zeros((4, 2, 3))}}


def tensors():
    rng = np.random.default_rng(0)
    return {
        "a.0.weight": rng.normal(size=(3, 2)),
        "q": rng.normal(size=(6, 4)),
        "head.weight": rng.normal(size=(5,)),
    }


def test_axes_are_moved_and_split_into_heads():
    given = tensors()
    params = import_weights.convert(given, LAYOUT, SHAPES)
    np.testing.assert_allclose(params["layer_0"]["kernel"], given["a.0.weight"].T, rtol=1e-6)
    np.testing.assert_allclose(params["query"]["kernel"][:, 1, 2], given["q"][5], rtol=1e-6)


def test_one_error_lists_all_that_does_not_fit():
    given = tensors() | {"stranger": np.zeros(7), "a.1.weight": np.zeros((3, 2))}
    given["q"] = np.zeros((4, 6))  # as many numbers, other axes
    shapes = SHAPES | {"out": {"bias": np.zeros(9)}}
    with pytest.raises(UserError) as error:
        import_weights.convert(given, LAYOUT, shapes, "my.npz")
    message = str(error.value)
    assert "\n" not in message and message.startswith("my.npz: 4 tensors")
    for part in (
        "stranger (7,) is not known",
        "a.1.weight (3, 2) has no parameter layer_1/kernel in the model",
        "q (4, 6) does not fit query/kernel (4, 2, 3)",
        "out/bias (9,) is missing",
    ):
        assert part in message


def test_two_tensors_for_one_parameter():
    layout = Layout([Rule("x|y", "bias")])
    with pytest.raises(UserError, match="y is a second tensor for bias"):
        import_weights.convert(dict(x=np.ones(2), y=np.ones(2)), layout, {"bias": np.zeros(2)})


def test_rules_are_checked():
    assert {"i3d", "stgcn", "mia", "videomae", "vit", "videoprism"} <= set(LAYOUTS)
    rules = [rule for layout in LAYOUTS.values() for rule in layout.rules]
    assert all(rule.transform in TRANSFORMS for rule in rules)
    with pytest.raises(ValueError, match="sideways"):
        Rule("x", "y", "sideways")


@pytest.mark.parametrize("suffix", ["safetensors", "npz", "pth"])
def test_files_of_each_type(tmp_path, suffix):
    given = {name: value.astype(np.float32) for name, value in tensors().items()}
    path = tmp_path / f"weights.{suffix}"
    if suffix == "safetensors":
        safetensors.numpy.save_file(given, path)
    elif suffix == "npz":
        np.savez(path, **given)
    else:
        plain = {name: torch.tensor(value) for name, value in given.items()}
        torch.save({"epoch": 3, "state_dict": plain}, path)
    jax.tree.map(np.testing.assert_array_equal, import_weights.read(path), given)
    first = import_weights.fingerprint(path)
    path.write_bytes(path.read_bytes() + b" ")
    assert len(first) == 64 and import_weights.fingerprint(path) != first


def test_half_precision_becomes_single(tmp_path):
    torch.save({"x": torch.tensor([1.5, -2.0], dtype=torch.bfloat16)}, tmp_path / "w.pt")
    value = import_weights.read(tmp_path / "w.pt")["x"]
    assert value.dtype == np.float32 and value.tolist() == [1.5, -2.0]


class Malicious:
    def __reduce__(self):
        return (json.dumps, ("ran",))


@pytest.mark.parametrize("suffix", ["safetensors", "npz", "pth", "txt"])
def test_files_that_hold_no_weights(tmp_path, suffix):
    path = tmp_path / f"weights.{suffix}"
    with pytest.raises(UserError, match="no such file"):
        import_weights.read(path)
    path.write_bytes(b"not weights at all")
    with pytest.raises(UserError, match=str(path)) as error:
        import_weights.read(path)
    assert "\n" not in str(error.value)


def test_pickles_are_not_run(tmp_path):
    torch.save({"x": Malicious()}, tmp_path / "w.pth")
    with pytest.raises(UserError, match="not a plain PyTorch state dict"):
        import_weights.read(tmp_path / "w.pth")
    np.savez(tmp_path / "w.npz", x=np.array([Malicious()], dtype=object))
    with pytest.raises(UserError, match="pickled"):
        import_weights.read(tmp_path / "w.npz")


def test_files_with_more_than_tensors_are_refused(tmp_path):
    torch.save({"x": torch.ones(2), "lr": 0.1}, tmp_path / "w.pth")
    with pytest.raises(UserError, match="tensors by name"):
        import_weights.read(tmp_path / "w.pth")


def test_unknown_layout(tmp_path):
    with pytest.raises(UserError, match="layout of weights: 'resnet'"):
        import_weights.load(tmp_path / "w.npz", "resnet", {})
