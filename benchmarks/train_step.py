"""One training step against the same architecture in PyTorch, and the wait for input.

    python -m benchmarks.train_step [--steps 10] [--name gymsim/default]

The PyTorch model is written on our own parameters, so that before anything is timed both are shown
to give the same outputs: the comparison is of like with like. Both take the same batch and AdamW,
and use all cores. Needs `pip install torch==2.13.0` (a development tool only) and
the dataset in `data/`; `configs/v2emg.py:six` builds `gymsim/default`.
"""

import argparse
import functools
import time
from collections.abc import Callable
from typing import Any

import flax.traverse_util
import jax
import numpy as np
import torch
import torch.nn.functional as F

from configs import v2emg
from video2emg.core import vocabulary
from video2emg.data.augment import Augmentation
from video2emg.data.store import open_dataset
from video2emg.data.train_stream import train_batches
from video2emg.models import pose_network
from video2emg.models.video2emg import Video2EMG
from video2emg.parallel import mesh as mesh_lib
from video2emg.run import setup
from video2emg.train import state as state_lib
from video2emg.train.feed import Feed
from video2emg.train.step import train_step

Params = dict[str, Any]


def dense(p: Params, x: torch.Tensor) -> torch.Tensor:
    return F.linear(x, p["kernel"].reshape(-1, p["bias"].numel()).T, p["bias"].reshape(-1))


def norm(p: Params, x: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], p.get("scale"), p.get("bias"), 1e-6)


def gelu(x: torch.Tensor) -> torch.Tensor:
    return F.gelu(x, approximate="tanh")


def rotate(x: torch.Tensor, seconds: torch.Tensor) -> torch.Tensor:
    """Rotary embedding of time; x is [B, heads, K, D]."""
    half = x.shape[-1] // 2
    angle = 2 * torch.pi * seconds[:, None] / torch.tensor(np.geomspace(0.1, 20.0, half))
    sine, cosine = angle.sin().float(), angle.cos().float()
    a, b = x.chunk(2, -1)
    return torch.cat([a * cosine - b * sine, a * sine + b * cosine], -1)


def resample(signal: tuple[torch.Tensor, torch.Tensor], weight: np.ndarray):
    values, known = signal
    weight = torch.tensor(weight)
    missing = torch.einsum("ik,bskf->bsif", (weight != 0).float(), (~known).float())
    complete = (missing < 0.5) & (weight != 0).any(1)[:, None]
    values = torch.einsum("ik,bskf->bsif", weight, torch.where(known, values, 0.0))
    return torch.where(complete, values, 0.0), complete


class TorchModel:
    """`Video2EMG` with the frame CNN, on a tree of our parameters as tensors."""

    def __init__(self, params: Params, model: Video2EMG, config: Any, dropout: float):
        self.p, self.model, self.config, self.dropout = params, model, config, dropout

    def encode(self, video: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        p, patch = self.p["encoder"], self.config.encoder.patch
        weight = mask[:, :, None, None, None].float()
        background = (video * weight).sum(1, True) / weight.sum(1, True).clamp_min(1)
        x = torch.cat([video, video - background], -1)
        b, t, s, _, c = x.shape
        x = x.reshape(b * t, s // patch, patch, s // patch, patch, c).permute(0, 1, 3, 2, 4, 5)
        x = dense(p["stem"], x.reshape(b * t, s // patch, s // patch, -1))
        x = gelu(norm({}, x))
        for i in range(len(self.config.encoder.widths) - 1):
            n, h, w, c = x.shape
            x = x.reshape(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5)
            x = x.reshape(n, h // 2, w // 2, 4 * c) @ p[f"stage_{i}"]["kernel"]
            x = gelu(norm({}, x))
        return dense(p["Dense_0"], x.reshape(b, t, -1))

    def block(self, p: Params, x, mask, seconds) -> torch.Tensor:
        normed = norm(p["LayerNorm_0"], x)
        attention = p["Attention_0"]

        def split(name):
            y = dense(attention[name], normed)
            return y.reshape(*y.shape[:2], self.config.heads, -1).transpose(1, 2)

        mixed = F.scaled_dot_product_attention(
            rotate(split("query"), seconds),
            rotate(split("key"), seconds),
            split("value"),
            attn_mask=mask[:, None, None, :],
        )
        mixed = dense(attention["out"], mixed.transpose(1, 2).flatten(2))
        x = x + F.dropout(mixed, self.dropout)
        return x + F.dropout(self.mlp(p["MLP_0"], norm(p["LayerNorm_1"], x)), self.dropout)

    def mlp(self, p: Params, x: torch.Tensor) -> torch.Tensor:
        return dense(p["Dense_1"], F.dropout(gelu(dense(p["Dense_0"], x)), self.dropout))

    def of_load(self, load: torch.Tensor) -> torch.Tensor:
        p = self.p["auxiliary_inputs"]
        features = torch.stack([load / 3, torch.ones_like(load)], -1)
        return dense(p["load"], gelu(dense(p["load_hidden"], features))) + p["load_kind"]

    def pose_network(self, pose, known, video, constant) -> torch.Tensor:
        p, net = self.p["pose_network"], self.model.pose_network
        frames, instants = pose.shape[1], net.instants(pose.shape[1])
        weight = pose_network.interpolation(frames, net.frame_rate, instants, net.rate)
        order = vocabulary.mirror_order(net.joints)
        both = torch.stack([pose, pose[:, :, order] * torch.tensor([1.0, -1.0, 1.0])], 1)
        known = torch.stack([known, known[:, :, order]], 1)[..., None].expand(both.shape)
        place = resample((both.flatten(3), known.flatten(3)), weight)
        first, second = pose_network.derivatives(instants, net.rate)
        signals = [place, resample(place, first), resample(place, second / 10)]
        values, masks = zip(*signals, strict=True)
        x = [*values, *(mask[..., ::3].float() for mask in masks)]
        values, shown = resample(video, weight)
        x = torch.cat([*x, values, shown.float().expand(*values.shape[:3], 1)], -1)
        seen = shown.any(-1, keepdim=True) | place[1].any(-1, keepdim=True)
        filters = pose_network.context_filters(instants, net.rate, net.context_s, net.contexts)
        around = torch.where(seen, dense(p["instant"], x), 0.0)
        around = torch.einsum("kij,bsjw->bsikw", torch.tensor(filters), around).flatten(3)
        x = dense(p["now"], x) + around @ p["context"]["kernel"] + constant[:, None, None]
        for i in range(net.depth):
            x = x + self.mlp(p[f"layer_{i}"], norm(p[f"norm_{i}"], x))
        return norm(p["norm"], x)

    def readout(self, features, muscle, side) -> torch.Tensor:
        p, room = self.p["decoder"], vocabulary.ROOM_MUSCLES
        b, s, i, _ = features.shape
        y = dense(p["samples"], features).reshape(b, s, i, room, -1)
        y = y.permute(0, 1, 3, 2, 4).reshape(b, s * room, -1)
        chosen = (side * room + muscle).long()[..., None].expand(-1, -1, y.shape[-1])
        return p["output_scale"] * F.softplus(y.gather(1, chosen)).transpose(1, 2)

    def __call__(self, batch: dict[str, torch.Tensor], frame_rate: float) -> dict:
        p, config = self.p, self.config
        b, v, t = batch["video"].shape[:3]
        seen = batch["video_mask"]
        pixels = batch["video"].float() / 127.5 - 1
        pixels = torch.where(seen[..., None, None, None], pixels, 0.0)
        frames = self.encode(pixels.flatten(0, 1), seen.flatten(0, 1))
        x = dense(p["project"], frames).reshape(b, v, t, -1)
        x = (x + p["view"]["embedding"][batch["view"]][:, :, None]).flatten(1, 2)
        seconds = (torch.arange(t) / frame_rate).repeat(v)
        for i in range(config.layers):
            x = self.block(p[f"layer_{i}"], x, seen.flatten(1), seconds)
        weight = seen.float()[..., None]

        def mean_of_views(name):
            y = norm(p[name], x).reshape(b, v, t, -1) * weight
            return y.sum(1) / weight.sum(1).clamp_min(1)

        pose = dense(p["pose"], mean_of_views("pose_norm")).reshape(b, t, -1, 3)
        sides = dense(p["sides"], mean_of_views("video_norm")).reshape(b, t, 2, -1).transpose(1, 2)
        shown = seen.any(1)
        video = (sides, shown[:, None, :, None])
        known = shown.float()[..., None]
        mean = (mean_of_views("load_norm") * known).sum(1) / known.sum(1).clamp_min(1)
        load = dense(p["load"], gelu(dense(p["load_hidden"], mean)))
        constant = self.of_load(load[:, 0].detach().clamp_min(0))
        known = shown[..., None].expand(pose.shape[:3])
        features = self.pose_network(pose.detach(), known, video, constant)
        emg = self.readout(features, batch["muscle"], batch["side"])
        at_frames = features[:, :, np.arange(t) * features.shape[2] // t]
        torque = 100 * dense(p["torque"], at_frames)
        order, signs = (
            f(self.model.dofs) for f in (vocabulary.mirror_order, vocabulary.mirror_signs)
        )
        torque = (torque[:, 0] + torque[:, 1][..., order] * torch.tensor(signs)) / 2
        held = load[:, 1:].sigmoid()
        return dict(emg=emg, pose=pose, torque=torque, load=load[:, 0], held=held)


def torch_loss(outputs: dict, batch: dict, weights: Any) -> torch.Tensor:
    def mean(error, mask):
        return (error * mask).sum() / mask.sum().clamp_min(1)

    parts = {
        "emg": mean((outputs["emg"] - batch["emg"]) ** 2, batch["emg_mask"]),
        "pose": mean(
            (((outputs["pose"] - batch["true_pose"]) / 0.1) ** 2).mean(3), batch["true_pose_mask"]
        ),
        "torque": mean(((outputs["torque"] - batch["torque"]) / 30) ** 2, batch["torque_mask"]),
        "load": mean((outputs["load"] - batch["load"].log1p()) ** 2, batch["load_mask"]),
        "held": mean(((outputs["held"] - batch["held"]) ** 2).sum(-1), batch["held_mask"]),
    }
    return sum(weights[name] * value for name, value in parts.items())


def seconds(step: Callable[[], Any], steps: int) -> float:
    """Median time of a step, after two to warm up."""
    times = []
    for _ in range(steps + 2):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return float(np.median(times[2:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--data", default="data")
    parser.add_argument("--name", default="gymsim/default", help="the dataset")
    args = parser.parse_args()
    config = v2emg.get_config("six")
    config.data.name = args.name
    splits, _ = setup.load_splits(config, open_dataset(config.data.name, args.data))
    examples = splits["train"]
    model = setup.build_model(config, examples.window)
    augmentation = Augmentation(**config.augment.to_dict())
    data = Feed(
        train_batches(
            examples, augmentation, config.train.batch_size, 0, threads=config.data.threads
        )
    )
    host = next(data)
    mesh = mesh_lib.make_mesh()
    batch = mesh_lib.put_batch(mesh, host)
    params = model.init(jax.random.key(0), batch, train=False)["params"]

    flat = flax.traverse_util.flatten_dict(jax.device_get(params))
    leaves = {k: torch.tensor(np.asarray(v), requires_grad=True) for k, v in flat.items()}
    tree = flax.traverse_util.unflatten_dict(leaves)
    inputs = {k: torch.tensor(np.asarray(v)) for k, v in host.items() if not k.startswith("_")}
    rate = config.data.frame_rate
    with torch.no_grad():
        theirs = TorchModel(tree, model, config.model, 0.0)(inputs, rate)
    ours, _ = jax.jit(functools.partial(model.apply, train=False))({"params": params}, batch)
    for name, value in theirs.items():
        np.testing.assert_allclose(getattr(ours, name), value, atol=2e-3, rtol=1e-3)
    print(f"same outputs, {sum(x.size for x in flat.values()):,} parameters")

    adamw = torch.optim.AdamW(leaves.values(), config.train.learning_rate)
    network = TorchModel(tree, model, config.model, config.model.dropout)

    def torch_step() -> None:
        adamw.zero_grad()
        torch_loss(network(inputs, rate), inputs, config.train.loss).backward()
        torch.nn.utils.clip_grad_norm_(leaves.values(), config.train.clip)
        adamw.step()

    def our_step(name: str, feed: Callable[[], dict]) -> Callable[[], None]:
        config.train.optimiser = name
        tx = state_lib.optimiser(config.train)
        state = jax.jit(functools.partial(state_lib.create, model, tx, batch, 0))()
        jitted = jax.jit(train_step(model, tx, config.train), donate_argnums=0)

        def step() -> None:
            nonlocal state
            state, metrics = jitted(state, feed())
            jax.block_until_ready(metrics["loss"])

        return step

    reference = seconds(torch_step, args.steps)
    same = seconds(our_step("adamw", lambda: batch), args.steps)
    muon = seconds(our_step("muon", lambda: batch), args.steps)
    print(f"step, AdamW: ours / PyTorch {torch.__version__} = {same / reference:.2f}")
    print(f"step, ours: Muon / AdamW = {muon / same:.2f}")

    waited = []

    def feed() -> dict[str, jax.Array]:
        start = time.perf_counter()
        found = next(data)
        waited.append(time.perf_counter() - start)
        return mesh_lib.put_batch(mesh, found)

    for _ in range(len(examples) // config.train.batch_size):  # the first epoch decodes
        next(data)
    fed = seconds(our_step("muon", feed), args.steps)
    share = np.median(waited[2:]) / fed
    print(
        f"step with input / without = {fed / muon:.2f}; waiting for input {share:.1%} of the step"
    )


if __name__ == "__main__":
    main()
