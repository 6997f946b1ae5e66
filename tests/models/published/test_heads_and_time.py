"""USDL, MUSDL, time-depth separable networks and pose → EMG models."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional as F

from tests.models.published.parity import as_torch, close, draw, imported, same_gradients
from tests.models.published.torch_models import randomise
from video2emg.core import vocabulary
from video2emg.models.published import pose_to_emg, tds, usdl


class TorchMLP(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.layer1, self.layer2 = nn.Linear(inputs, 256), nn.Linear(256, 128)
        self.layer3 = nn.Linear(128, outputs)

    def forward(self, x):
        return self.layer3(F.relu(self.layer2(F.relu(self.layer1(x)))))


class TorchEvaluator(nn.Module):
    def __init__(self, inputs, outputs, judges=None):
        super().__init__()
        one = judges is None
        self.evaluator = TorchMLP(inputs, outputs) if one else nn.ModuleList(
            TorchMLP(inputs, outputs) for _ in range(judges)
        )  # fmt: skip

    def forward(self, x):
        if isinstance(self.evaluator, TorchMLP):
            return self.evaluator(x)
        return torch.stack([judge(x) for judge in self.evaluator], 1)


@pytest.mark.parametrize("as_published", [True, False])
def test_usdl(as_published):
    theirs, ours = randomise(TorchEvaluator(10, 101)), usdl.ScoreMLP(101)
    x, score = draw(3, 10), jnp.array([0.0, 61.3, 100.0])
    variables = imported(theirs, "usdl", ours, x)
    logits = theirs(as_torch(x))
    got = jax.jit(ours.apply)(variables, x)
    close(got, logits)
    density = stats.norm.pdf(np.arange(101), np.asarray(score)[:, None], 5)
    labels = usdl.soft_labels(score)
    np.testing.assert_allclose(labels, density / density.sum(1, keepdims=True), atol=1e-6)
    reduction = "mean" if as_published else "batchmean"
    total = F.kl_div(logits.log_softmax(-1), as_torch(labels), reduction=reduction)
    np.testing.assert_allclose(usdl.divergence(got, labels, as_published), total.item(), rtol=1e-4)
    if not as_published:
        same_gradients(
            variables, lambda v: usdl.divergence(ours.apply(v, x), labels), theirs, "usdl", total
        )


def test_musdl():
    theirs, ours = randomise(TorchEvaluator(10, 21, 7)), usdl.Judges(7)
    x = draw(3, 10)
    logits = theirs(as_torch(x))
    got = jax.jit(ours.apply)(imported(theirs, "usdl", ours, x), x)
    close(got, logits)
    judged = logits.argmax(-1) * 10 / 20
    np.testing.assert_allclose(usdl.expected_score(got, 10.0), judged)
    np.testing.assert_allclose(
        usdl.panel_score(usdl.expected_score(got, 10.0)), judged.sort(1)[0][:, 2:5].sum(1)
    )


def test_scores_of_distributions():
    logits = jnp.log(usdl.soft_labels(jnp.array([30.0, 62.5])))
    np.testing.assert_allclose(usdl.expected_score(logits, most_probable=False), [30, 62.5], atol=1)
    np.testing.assert_allclose(usdl.expected_score(logits), [30, 62.5], atol=0.51)


class TorchEmbed(nn.Module):
    def __init__(self, inputs, outputs, window, stride):
        super().__init__()
        conv = nn.Conv1d(inputs, outputs, window, stride, (window - 1) // 2)
        self.conv, self.norm = nn.Sequential(conv, nn.ReLU()), nn.LayerNorm(outputs)

    def forward(self, x):
        return self.norm(self.conv(x).transpose(1, 2)).transpose(1, 2)


class TorchTime(nn.Module):
    def __init__(self, channels, width, window):
        super().__init__()
        self.conv2d = nn.Conv2d(channels, channels, (1, window), padding=(0, window // 2))
        self.layer_norm, self.channels = nn.LayerNorm(channels * width), channels

    def forward(self, x):
        b, c, t = x.shape
        y = F.relu(self.conv2d(x.view(b, self.channels, -1, t))).view(b, c, t) + x
        return self.layer_norm(y.transpose(1, 2)).transpose(1, 2)


class TorchDense(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc_block = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, x):
        x = x.transpose(1, 2)
        return self.layer_norm(self.fc_block(x) + x).transpose(1, 2)


class TorchStage(nn.Module):
    def __init__(self, inputs, channels, width, blocks, window, embed, stride=1, outputs=0):
        super().__init__()
        parts = []
        for _ in range(blocks):
            parts += [TorchTime(channels, width, window), TorchDense(channels * width)]
        self.layers = nn.Module()
        self.layers.conv1dblock = TorchEmbed(inputs, channels * width, embed, stride)
        self.layers.tds_block = nn.Module()
        self.layers.tds_block.tds_conv_blocks = nn.Sequential(*parts)
        if outputs:
            self.linear_layer = nn.Linear(channels * width, outputs)

    def forward(self, x):
        x = self.layers.tds_block.tds_conv_blocks(self.layers.conv1dblock(x))
        if hasattr(self, "linear_layer"):
            x = self.linear_layer(x.transpose(1, 2)).transpose(1, 2)
        return x


class TorchTDS(nn.Module):
    def __init__(self, inputs, stages, samples, hidden, outputs):
        super().__init__()
        self.network, self.decoder, self.samples = nn.Module(), nn.Module(), samples
        built, width = [], inputs
        for settings in stages:
            built.append(TorchStage(width, **settings))
            width = settings.get("outputs") or settings["channels"] * settings["width"]
        self.network.layers = nn.Sequential(*built)
        self.decoder.mlp = nn.Sequential(
            nn.Linear(width, hidden), nn.LeakyReLU(), nn.Linear(hidden, outputs)
        )
        self.output_scale = nn.Parameter(torch.tensor(0.3))

    def forward(self, x):
        y = self.network.layers(x.transpose(1, 2))
        y = F.interpolate(y, x.shape[1] * self.samples, mode="linear", align_corners=True)
        return self.decoder.mlp(y.transpose(1, 2)) * self.output_scale


def test_tds():
    stages = (
        dict(channels=3, width=4, blocks=1, window=5, embed=5),
        dict(channels=2, width=3, blocks=1, window=3, embed=3, stride=2, outputs=7),
    )
    theirs = randomise(TorchTDS(6, stages, 4, 9, 5))
    ours = tds.TDS(5, 4, stages, decoder=(9,))
    x = draw(2, 12, 6)
    variables = imported(theirs, "tds", ours, x)
    expected = theirs(as_torch(x))
    close(jax.jit(ours.apply)(variables, x), expected)
    same_gradients(
        variables,
        lambda v: jnp.square(ours.apply(v, x)).mean(),
        theirs,
        "tds",
        expected.square().mean(),
    )


def batch(b=2, t=10, m=4):
    rng = np.random.default_rng(0)
    return {
        "pose": draw(b, t, 21, 3),
        "pose_mask": jnp.ones((b, t, 21), bool),
        "muscle": jnp.asarray(rng.integers(0, 9, (b, m))),
        "side": jnp.asarray(np.arange(m) % 2 + np.zeros((b, 1), int)),
    }


SMALL = {"mia": dict(dim=18, layers=1, heads=2, hidden=8),
         "tds": dict(stages=(dict(channels=2, width=4, blocks=1, window=3),), decoder=(8,)),
         "temporal_cnn": dict(widths=(8,))}  # fmt: skip


@pytest.mark.parametrize("system", pose_to_emg.NAMES)
def test_pose_to_emg(system):
    model = pose_to_emg.PoseToEMG(system, 10, SMALL[system])
    inputs = batch()
    variables = jax.jit(lambda x: model.init(jax.random.key(0), x, train=False))(inputs)
    apply = jax.jit(lambda v, x: model.apply(v, x, train=False))
    out, extra = apply(variables, inputs)
    assert out.emg.shape == (2, 100, 4)
    column = inputs["side"][1, 2] * len(vocabulary.MUSCLES) + inputs["muscle"][1, 2]
    np.testing.assert_array_equal(out.emg[1, :, 2], extra["every_channel"][1, :, column])
    # What is masked is not seen.
    hidden = inputs | {"pose_mask": inputs["pose_mask"].at[:, 4:].set(False)}
    changed = hidden | {"pose": hidden["pose"].at[:, 4:].set(jnp.nan)}
    first, second = apply(variables, hidden)[0].emg, apply(variables, changed)[0].emg
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, out.emg)
