"""Real EMG: the pose → EMG systems on joint angles of treadmill walking and running.

    python -m analyses.walking --data ../shared/data/ceinms_rt_lowerlimb/data

One subject, three recordings (3.6 and 4.5 km/h walking, 8.1 km/h running; CEINMS-RT lower limb
model, Apache-2.0): 23 joint coordinates and envelopes of the right leg, normalised by the source.
Trained on the first 70 % of each recording, with the last tenth of that held out to choose settings
and steps, and tested on the last 30 %. Training and test are of the same person and day, so the
results show that readers, clocks and systems work on real signals; they say nothing about new
people. There is one subject, hence no intervals. Skill is over each channel's training mean in that
recording. Writes results/walking.json and the table in docs/published_systems.md.
"""

import argparse
import functools
import pathlib
import zlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from video2emg.data import readers
from video2emg.eval import comparison, results, scores
from video2emg.eval.regressors import ClipFeatures, Retrieval, Ridge, SupportVector
from video2emg.eval.series import ClipSeries
from video2emg.models.blocks import Block, time_embedding
from video2emg.models.published.mia import MIATransformer
from video2emg.models.published.tds import TDS, TemporalCNN
from video2emg.run.pages import ROOT, put

RECORDINGS = ("walk36", "walk45", "run81")
# The lateral gastrocnemius is left out, as our vocabulary has one gastrocnemius; an electrode
# cannot tell semimembranosus from semitendinosus.
MUSCLES = {
    "soleus_r": "right_soleus",
    "med_gas_r": "right_gastrocnemius",
    "tib_ant_r": "right_tibialis_anterior",
    "semimem_r": "right_semitendinosus",
    "bifemlh_r": "right_biceps_femoris",
    "vas_lat_r": "right_vastus_lateralis",
    "rect_fem_r": "right_rectus_femoris",
    "vas_med_r": "right_vastus_medialis",
}
RATE, WINDOW = 50.0, 100  # Hz, samples of a window
PARTS = {"train": (0.0, 0.63), "validation": (0.63, 0.7), "test": (0.7, 1.0)}
NOISE = 0.3  # standard deviations of an angle; what keeps networks from learning a minute by heart


class Ours(nn.Module):
    """The trunk of our model: transformer layers over instants in seconds, softplus outputs."""

    outputs: int
    dim: int = 64

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Angles [B, T, C] → envelopes [B, T, M]."""
        when = time_embedding(jnp.arange(x.shape[1]) / RATE, self.dim)
        x = nn.Dense(self.dim)(x) + nn.Dense(self.dim)(when)
        # A convolution first: neighbouring instants are what attention needs longest to find.
        x = x + nn.Conv(self.dim, (9,))(nn.gelu(x))
        for _ in range(2):
            x = Block(4, ratio=2, dropout=0.1)(x, train=train)
        return nn.softplus(nn.Dense(self.outputs)(nn.LayerNorm()(x)))


NETWORKS = {
    "ours": Ours,
    "mia": functools.partial(MIATransformer, dim=64, layers=2, heads=4, hidden=256),
    "tds": functools.partial(
        TDS,
        samples=1,
        stages=(
            dict(channels=16, width=8, blocks=1, window=5, embed=5),
            dict(channels=16, width=8, blocks=2, window=9, embed=5),
        ),
    ),
    "temporal_cnn": TemporalCNN,
}
REGRESSORS = {
    "ridge": [Ridge(p, rate=RATE, context=0.0) for p in (1e-4, 1e-2, 1.0)],
    "ridge_with_context": [Ridge(p, rate=RATE) for p in (1e-4, 1e-2, 1.0)],
    "support_vector": [SupportVector(c, rate=RATE) for c in (0.1, 1.0)],
    "retrieval": [Retrieval(seconds=s, rate=RATE / 2) for s in (0.5, 1.0)],
}


def load(folder: pathlib.Path) -> dict[str, ClipFeatures]:
    """Each part of one recording, with its angles (degrees, m) as features."""
    angles, emg = readers.read(folder / "ik.sto"), readers.read(folder / "emgFilt.sto")
    step = round(angles[0].rate / RATE)
    length = min(len(c.values) for c in (*angles, *emg))
    x = np.stack([c.values[:length:step] for c in angles], 1).astype(np.float32)
    chosen = [channel for channel in emg if channel.name in MUSCLES]
    y = np.stack([c.values[:length:step] for c in chosen], 1).astype(np.float32)
    found = {}
    for part, (first, last) in PARTS.items():
        rows = slice(round(first * len(x)), round(last * len(x)))
        time = np.arange(rows.stop - rows.start) / RATE
        series = ClipSeries(
            clip_id=f"{folder.name}/{part}",
            dataset="ceinms_rt_lowerlimb",
            subject="the subject",
            action=folder.name,
            muscles=tuple(MUSCLES[c.name] for c in chosen),
            time=time,
            phase=(time / time[-1]).astype(np.float32),
            target=y[rows],
            mask=np.ones(y[rows].shape, bool),
        )
        found[part] = ClipFeatures(series, x[rows], time)
    return found


def starts(length: int) -> np.ndarray:
    """Windows side by side, the last one ends with the recording."""
    return np.minimum(np.arange(0, length, WINDOW), length - WINDOW)


class Network:
    """A network with its training, in the form of a regressor."""

    def __init__(self, model: nn.Module, steps: int, seed: int) -> None:
        """Keeps the settings."""
        self.model, self.steps, self.seed = model, steps, seed

    def fit(self, train: list[ClipFeatures], validation: list[ClipFeatures]) -> "Network":
        """Trains with AdamW on windows at random; keeps the parameters best on validation."""
        every = np.concatenate([clip.features for clip in train])
        self.mean, self.sd = every.mean(0), every.std(0) + 1e-6
        targets = np.concatenate([clip.series.target for clip in train])
        self.scale = targets.std(0) + 1e-6
        places = [(i, s) for i, c in enumerate(train) for s in range(len(c.time) - WINDOW)]
        params = self.model.init(jax.random.key(self.seed), self.inputs(train[0], [0]))
        tx = optax.adamw(optax.cosine_decay_schedule(2e-3, self.steps), weight_decay=0.05)
        state = tx.init(params)

        @jax.jit
        def step(params, state, x, y, key):
            def loss(params):
                noise, drop = jax.random.split(key)
                seen = x + NOISE * jax.random.normal(noise, x.shape)
                out = self.model.apply(params, seen, train=True, rngs={"dropout": drop})
                return jnp.mean((out - y) ** 2)

            updates, state = tx.update(jax.grad(loss)(params), state, params)
            return optax.apply_updates(params, updates), state

        self.forward = jax.jit(lambda params, x: self.model.apply(params, x))
        rng = np.random.default_rng(self.seed)
        best = np.inf
        for n in range(1, self.steps + 1):
            chosen = [places[i] for i in rng.integers(len(places), size=32)]
            x = np.concatenate([self.inputs(train[i], [s]) for i, s in chosen])
            y = np.stack([train[i].series.target[s : s + WINDOW] for i, s in chosen]) / self.scale
            params, state = step(params, state, x, y, jax.random.key(n))
            if n % 100 == 0 or n == self.steps:
                self.params = params
                error = sum(((self.predict(c) - c.series.target) ** 2).sum() for c in validation)
                if error < best:
                    best, kept = error, params
        self.params = kept
        return self

    def inputs(self, clip: ClipFeatures, first: np.ndarray | list[int]) -> np.ndarray:
        """Standardised windows [B, T, C]."""
        cut = np.stack([clip.features[s : s + WINDOW] for s in first])
        return ((cut - self.mean) / self.sd).astype(np.float32)

    def predict(self, clip: ClipFeatures) -> np.ndarray:
        """Envelopes [N, M] of a recording."""
        first = starts(len(clip.time))
        out = np.asarray(self.forward(self.params, self.inputs(clip, first))) * self.scale
        whole = np.empty(clip.series.target.shape, np.float32)
        for s, piece in zip(first, out, strict=True):
            whole[s : s + WINDOW] = piece
        return whole


def systems(clips: dict[str, dict[str, ClipFeatures]], steps: int, seeds: int):
    """Yields (name, predictions of the test parts), once per seed."""
    train, validation, test = ([clips[r][p] for r in RECORDINGS] for p in PARTS)

    def error(system) -> float:
        return sum(float(((system.predict(c) - c.series.target) ** 2).sum()) for c in validation)

    yield (
        "train_mean",
        [
            np.broadcast_to(mean, t.series.target.shape).astype(np.float32)
            for mean, t in zip(means(train), test, strict=True)
        ],
    )
    for name, candidates in REGRESSORS.items():
        best = min((one.fit(train) for one in candidates), key=error)
        yield name, [best.predict(clip) for clip in test]
    for name, make in NETWORKS.items():
        for seed in range(seeds):
            network = Network(make(outputs=len(MUSCLES)), steps, seed).fit(train, validation)
            print(f"{name}, seed {seed}: done", flush=True)
            yield name, [network.predict(clip) for clip in test]


def means(clips: list[ClipFeatures]) -> list[np.ndarray]:
    """Training mean of each channel, by recording."""
    return [clip.series.target.mean(0) for clip in clips]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--publish", action="store_true", help="also write results/ and docs/")
    args = parser.parse_args()
    clips = {name: load(args.data / name) for name in RECORDINGS}
    test = [clips[name]["test"].series for name in RECORDINGS]
    tables: dict[str, list[scores.Table]] = {}
    expected = None
    for name, guess in systems(clips, args.steps, args.seeds):
        expected = guess if expected is None else expected  # the first is the mean
        tables.setdefault(name, []).append(scores.tabulate(test, guess, expected))
    raw = b"".join(
        (args.data / r / f).read_bytes() for r in RECORDINGS for f in ("ik.sto", "emgFilt.sto")
    )
    found = {
        "provenance": results.provenance(
            dataset="ceinms_rt_lowerlimb, last 30 % of each recording",
            dataset_version=f"crc32 {zlib.crc32(raw):08x}",
            simulated=False,
            normalisation="the source",
            seed=0,
            config_hash=f"steps {args.steps}, seeds {args.seeds}",
        ),
        "test": comparison.compare(tables, "ours"),
    }
    for name, row in found["test"]["rows"].items():
        row["sees"] = "nothing" if name == "train_mean" else "joint angles"
        row["by_recording"] = {
            clip.action: float(
                np.mean(
                    [
                        scores.score(table.select(clips=table.action == clip.action))["pcc"]
                        for table in tables[name]
                    ]
                )
            )
            for clip in test
        }
    text = comparison.format_table(found)
    print(text)
    if args.publish:
        results.write_results(ROOT / "results/walking.json", found)
        put(ROOT / "docs/published_systems.md", f"```text\n{text}\n```", "walking")


if __name__ == "__main__":
    main()
