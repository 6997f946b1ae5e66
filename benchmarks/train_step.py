"""One training step against the same architecture in PyTorch, and the wait for input.

    python -m benchmarks.train_step [--steps 10]

The PyTorch model is written on our own parameters, so that before anything is timed both are shown
to give the same outputs: the comparison is of like with like. Both take the same batch and AdamW,
and use all cores. Needs `pip install torch==2.13.0` (a development tool only) and
`data/gymsim/default`, which `configs/v2emg.py:six` builds.
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
from video2emg.data.augment import Augmentation
from video2emg.data.batches import train_batches
from video2emg.data.store import open_dataset
from video2emg.parallel import mesh as mesh_lib
from video2emg.run import setup
from video2emg.train import state as state_lib
from video2emg.train.feed import Feed
from video2emg.train.step import train_step

Params = dict[str, Any]


def dense(p: Params, x: torch.Tensor) -> torch.Tensor:
    return F.linear(x, p["kernel"].reshape(-1, p["bias"].numel()).T, p["bias"].reshape(-1))


def norm(p: Params, x: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], p["scale"], p["bias"], 1e-6)


def gelu(x: torch.Tensor) -> torch.Tensor:
    return F.gelu(x, approximate="tanh")


def clock(seconds: torch.Tensor, dim: int) -> torch.Tensor:
    periods = torch.tensor(np.geomspace(0.1, 20.0, dim // 2), dtype=torch.float32)
    angle = 2 * torch.pi * seconds[..., None] / periods
    return torch.cat([angle.sin(), angle.cos()], -1)


class TorchModel:
    """`Video2EMG` with the frame CNN, on a tree of our parameters as tensors."""

    def __init__(self, params: Params, config: Any, dropout: float):
        self.p, self.config, self.dropout = params, config, dropout

    def encode(self, video: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        p, patch = self.p["encoder"], self.config.encoder.patch
        weight = mask[:, :, None, None, None].float()
        background = (video * weight).sum(1, True) / weight.sum(1, True).clamp_min(1)
        x = torch.cat([video, video - background], -1)
        b, t, s, _, c = x.shape
        x = x.reshape(b * t, s // patch, patch, s // patch, patch, c).permute(0, 1, 3, 2, 4, 5)
        x = dense(p["stem"], x.reshape(b * t, s // patch, s // patch, -1))
        x = gelu(norm(p["LayerNorm_0"], x))
        for i in range(len(self.config.encoder.widths) - 1):
            kernel = p[f"Conv_{i}"]["kernel"].permute(3, 2, 0, 1)
            x = F.pad(x.permute(0, 3, 1, 2), (0, 1, 0, 1))
            x = F.conv2d(x, kernel, p[f"Conv_{i}"]["bias"], stride=2).permute(0, 2, 3, 1)
            x = gelu(norm(p[f"LayerNorm_{i + 1}"], x))
        return dense(p["Dense_0"], x.reshape(b, t, -1))

    def block(self, p: Params, x, context=None, mask=None) -> torch.Tensor:
        normed = norm(p["LayerNorm_0"], x)
        attention, mlp = p["Attention_0"], p["MLP_0"]
        last = 1 if context is None else 2
        tokens = normed if context is None else norm(p["LayerNorm_1"], context)
        heads = self.config.heads

        def split(name, y):
            y = dense(attention[name], y)
            return y.reshape(*y.shape[:2], heads, -1).transpose(1, 2)

        mixed = F.scaled_dot_product_attention(
            split("query", normed),
            split("key", tokens),
            split("value", tokens),
            attn_mask=mask[:, None, None, :],
        )
        mixed = dense(attention["out"], mixed.transpose(1, 2).flatten(2))
        x = x + F.dropout(mixed, self.dropout)
        hidden = gelu(dense(mlp["Dense_0"], norm(p[f"LayerNorm_{last}"], x)))
        hidden = dense(mlp["Dense_1"], F.dropout(hidden, self.dropout))
        return x + F.dropout(hidden, self.dropout)

    def __call__(self, batch: dict[str, torch.Tensor], frame_rate: float) -> dict:
        p, config = self.p, self.config
        b, v, t = batch["video"].shape[:3]
        seen = batch["video_mask"]
        pixels = batch["video"].float() / 127.5 - 1
        pixels = torch.where(seen[..., None, None, None], pixels, 0.0)
        frames = self.encode(pixels.flatten(0, 1), seen.flatten(0, 1))
        when = clock(torch.arange(t) / frame_rate, config.dim)
        x = dense(p["project"], frames).reshape(b, v, t, -1)
        x = x + p["view"]["embedding"][batch["view"]][:, :, None] + dense(p["when"], when)
        x, mask = x.flatten(1, 2), seen.flatten(1)
        for i in range(config.layers):
            x = self.block(p[f"layer_{i}"], x, mask=mask)
        d = p["decoder"]
        who = d["muscle"]["embedding"][batch["muscle"]] + d["side"]["embedding"][batch["side"]]
        y = (who[:, :, None] + dense(d["when"], when)).flatten(1, 2)
        for i in range(config.decoder_layers):
            y = self.block(d[f"layer_{i}"], y, x, mask)
        y = dense(d["samples"], norm(d["LayerNorm_0"], y)).reshape(b, who.shape[1], t, -1)
        own, ahead = y.chunk(2, -1)
        rise = (torch.arange(own.shape[-1]) + 0.5) / own.shape[-1]
        before = torch.cat([own[:, :, :1], ahead[:, :, :-1]], 2)
        y = d["output_scale"] * F.softplus(rise * own + (1 - rise) * before)
        emg = y.flatten(2).transpose(1, 2)
        weight = mask.float().reshape(b, v, t, 1)
        x = norm(p["auxiliary_norm"], x).reshape(b, v, t, -1) * weight
        instants = x.sum(1) / weight.sum(1).clamp_min(1)
        clip = x.sum((1, 2)) / weight.sum((1, 2)).clamp_min(1)
        pose = dense(p["pose"], instants).reshape(b, t, -1, 3)
        torque = 100 * dense(p["torque"], instants)
        return dict(emg=emg, pose=pose, torque=torque, load=dense(p["load"], clip)[:, 0])


def torch_loss(outputs: dict, batch: dict, weights: Any) -> torch.Tensor:
    def mean(error, mask):
        return (error * mask).sum() / mask.sum().clamp_min(1)

    parts = {
        "emg": mean((outputs["emg"] - batch["emg"]) ** 2, batch["emg_mask"]),
        "pose": mean((((outputs["pose"] - batch["pose"]) / 0.1) ** 2).mean(3), batch["pose_mask"]),
        "torque": mean(
            (((outputs["torque"] - batch["torque"]) / 30) ** 2).mean(2), batch["torque_mask"]
        ),
        "load": mean((outputs["load"] - batch["load"].log1p()) ** 2, batch["load_mask"]),
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
    args = parser.parse_args()
    config = v2emg.get_config("six")
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
        theirs = TorchModel(tree, config.model, 0.0)(inputs, rate)
    ours, _ = jax.jit(functools.partial(model.apply, train=False))({"params": params}, batch)
    for name, value in theirs.items():
        np.testing.assert_allclose(getattr(ours, name), value, atol=2e-3, rtol=1e-3)
    print(f"same outputs, {sum(x.size for x in flat.values()):,} parameters")

    adamw = torch.optim.AdamW(leaves.values(), config.train.learning_rate)
    network = TorchModel(tree, config.model, config.model.dropout)

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
