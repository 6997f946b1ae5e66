"""Real EMG: joint angles → envelopes of treadmill walking and running, against a linear map.

    python -m benchmarks.walking --data ../shared/data/ceinms_rt_lowerlimb/data

One subject, three recordings (3.6 and 4.5 km/h walking, 8.1 km/h running; CEINMS-RT lower limb
model, Apache-2.0): 23 joint coordinates and 9 envelopes of the right leg at 100 Hz. Trained on the
first 70 % of each, tested on the last 30 %: the same person and day, so it says that the
reading, the clocks and the optimiser work on real signals, nothing about new people.
"""

import argparse
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from video2emg.data import readers

REACH, STRIDE = 20, 4  # samples of context on either side, and every how many of them
TRAIN = 0.7
NOISE = 0.3  # standard deviations of an angle


class Temporal(nn.Module):
    """Angles in a window → envelopes at its middle."""

    channels: int

    @nn.compact
    def __call__(self, windows: jax.Array) -> jax.Array:
        x = windows.reshape(len(windows), -1)
        for width in (256, 128):
            x = nn.gelu(nn.Dense(width)(x))
        # The linear map of the middle frame, and what the context adds to it.
        return nn.Dense(self.channels)(windows[:, windows.shape[1] // 2]) + nn.Dense(
            self.channels, kernel_init=nn.initializers.zeros
        )(x)


def load(folder: pathlib.Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """[T, 23] coordinates, [T, 9] envelopes, names of the muscles."""
    angles, emg = readers.read(folder / "ik.sto"), readers.read(folder / "emgFilt.sto")
    length = min(len(c.values) for c in (*angles, *emg))
    return (
        np.stack([c.values[:length] for c in angles], 1),
        np.stack([c.values[:length] for c in emg], 1),
        [c.name for c in emg],
    )


def windows(x: np.ndarray) -> np.ndarray:
    """[T, W, 23] context of every sample; the ends are repeated."""
    steps = np.arange(-REACH, REACH + 1, STRIDE)
    return x[np.clip(np.arange(len(x))[:, None] + steps, 0, len(x) - 1)]


def correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's r per column."""
    return np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(a.T, b.T, strict=True)])


def fit(x: np.ndarray, y: np.ndarray, steps: int, seed: int = 0):
    """Trains on [T, W, D] windows and [T, C] targets; returns the prediction function."""
    model = Temporal(y.shape[1])
    params = model.init(jax.random.key(seed), jnp.asarray(x[:2], jnp.float32))
    tx = optax.adamw(optax.cosine_decay_schedule(2e-3, steps), weight_decay=0.05)
    state = tx.init(params)
    x, y = jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)

    @jax.jit
    def step(params, state, key):
        rows = jax.random.randint(key, (256,), 0, len(x))
        # One minute of one person: noise on the angles is what keeps the network from learning it
        # by heart.
        seen = x[rows] + NOISE * jax.random.normal(key, x[rows].shape)
        grads = jax.grad(lambda p: ((model.apply(p, seen) - y[rows]) ** 2).mean())(params)
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    for n in range(steps):
        params, state = step(params, state, jax.random.fold_in(jax.random.key(seed + 1), n))
    return jax.jit(lambda x: model.apply(params, x))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=int, default=3000)
    args = parser.parse_args()
    found = {name: load(args.data / name) for name in ("walk36", "walk45", "run81")}
    cuts = {name: round(TRAIN * len(angles)) for name, (angles, _, _) in found.items()}
    known = np.concatenate([angles[: cuts[name]] for name, (angles, _, _) in found.items()])
    mean, sd = known.mean(0), known.std(0) + 1e-9
    targets = np.concatenate([emg[: cuts[name]] for name, (_, emg, _) in found.items()])
    scale = targets.std(0) + 1e-9
    inputs = {name: windows((angles - mean) / sd) for name, (angles, _, _) in found.items()}
    seen = np.concatenate([inputs[name][: cuts[name]] for name in found])
    predict = fit(seen, targets / scale, args.steps)
    print(f"{'recording':10s}{'linear':>9s}{'temporal':>10s}   r per channel (linear → temporal)")
    for name, (angles, emg, muscles) in found.items():
        cut, x = cuts[name], inputs[name].astype(np.float32)
        flat = np.concatenate([(angles - mean) / sd, np.ones((len(angles), 1))], 1)
        # The linear map may have each recording to itself.
        weights, *_ = np.linalg.lstsq(flat[:cut], emg[:cut], rcond=None)
        linear = correlation(flat[cut:] @ weights, emg[cut:])
        ours = correlation(np.asarray(predict(x[cut:])), emg[cut:])
        good = linear > 0.5  # one channel of walk36 is probably bad
        parts = [f"{m} {a:.2f} → {b:.2f}" for m, a, b in zip(muscles, linear, ours, strict=True)]
        print(f"{name:10s}{linear[good].mean():9.3f}{ours[good].mean():10.3f}   {', '.join(parts)}")


if __name__ == "__main__":
    main()
