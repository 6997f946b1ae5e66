"""The outputs of a frozen Video→EMG model for every clip, computed once and kept in memory.

A head on top of them then trains in a minute, whatever the source of its EMG.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grain
import jax
import numpy as np
import tqdm

from video2emg.aqa.head import EXEMPLAR
from video2emg.core.batch import muscle_queries
from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.data.augment import Augmentation
from video2emg.data.batches import eval_batches
from video2emg.data.examples import Examples
from video2emg.data.found_repetitions import FoundRepetitions, SeenClips
from video2emg.data.labels import Labels
from video2emg.data.pose_noise import ESTIMATOR_NOISE, PoseNoise
from video2emg.data.repetitions import Repetitions
from video2emg.data.store import open_dataset
from video2emg.data.train_stream import stream, train_batches
from video2emg.eval.out_of_domain import OODDetector
from video2emg.fkg.rubric import Rubric
from video2emg.models.build import head_rate
from video2emg.models.outputs import aqa_inputs
from video2emg.parallel import mesh as mesh_lib
from video2emg.run import setup
from video2emg.run.workdir import read_config
from video2emg.train.checkpoint import load_params

# Where the EMG comes from that a head is given; see `configs/aqa.py`.
EMG_SOURCES = (
    "none",
    "predicted",
    "predicted_frozen",
    "measured",
    "shuffled",
    "from_other_subject",
)
FOUND = "found"  # the test sets, with repetitions that are found instead of given
CLEAN = "clean"  # the test clips, with poses that have no errors
_FOUND_BYTES = 2**30  # memory for the clips of `FOUND`
_EMG_FIELDS = ("activity", "activity_mask", "muscle", "side")
_BATCH_FIELDS = (
    *("view", "muscle", "side", "index"),
    *("action", "severity", "error_mask", "score", "score_mask", "phase", "phase_mask", "boundary"),
    *("load", "load_mask", "vitals", "vitals_mask", "traits", "traits_mask"),
)

_MEASURED = ("emg", "emg_mask")

Fields = dict[str, np.ndarray]


class FrozenFeatures:
    """Data, a trained Video→EMG model and its outputs; shared by the runs of a sweep.

    Attributes:
      key: `cache_key` of the configuration.
      main: configuration of the Video→EMG model, with the data of the heads.
      dataset: of the heads; by default that of the Video→EMG model.
      splits: examples with labels.
      labels: the labels of a clip.
      model, params: of Video→EMG.
      rubric: the part of the graph about the actions of the training clips.
      rate: tokens per second of one view, Hz.
      subject: per split, [clips] text.
      has_emg: whether the clips have electrodes.
      found: how the repetitions of the split `FOUND` were found; None without it.
    """

    def __init__(self, config: Config, rubric: Rubric, workdir: Path, mesh) -> None:
        """Opens the data and the model; the model runs over a split when it is first asked for.

        Args:
          config: see `configs/aqa.py`.
          rubric: of the graph.
          workdir: of the finished Video→EMG run.
          mesh: the devices.
        """
        self.key = cache_key(config)
        self._mesh, self._copies, self._batch = mesh, config.copies, config.eval.batch_size
        self._fields: dict[str, Fields] = {}
        self.main = read_config(workdir)
        for name in ("dir", "threads", "cache_gib"):  # of this machine
            self.main.data[name] = config.main.data[name]
        self.main.data.name = config.dataset or self.main.data.name
        self.main.eval.pose_noise = config.eval.pose_noise
        dataset = open_dataset(self.main.data.name, self.main.data.dir)
        self.dataset = dataset
        judged = (clip for clip in dataset.splits["train"] if clip.repetitions != ())
        self.rubric = rubric.only({clip.action for clip in judged})
        window = setup.window_from_config(self.main)
        self.rate = head_rate(self.main)
        labels = Labels(self.rubric, self.rate * config.model.phase_samples, window.seconds)
        self.labels = labels
        splits, _ = setup.load_splits(self.main, dataset, labels, cut=True)
        views = tuple(config.get("views", ())) or self.main.data.views
        hidden = [view for view in self.main.data.views if view not in views]
        self.found: FoundRepetitions | None = None
        if config.eval.found:
            self.found, splits[FOUND] = _found(splits["test"], config.eval.pose_noise)
        if config.eval.clean:
            splits[CLEAN] = splits["test"].with_pose_noise(PoseNoise())
        self.splits = {
            name: examples.drop_inputs([*hidden, *(() if name == "train" else config.eval.hide)])
            for name, examples in splits.items()
        }
        self.has_emg = bool(self.splits["train"].clip(0).muscles)
        self._muscles = () if self.has_emg else _muscles_of_run(workdir)
        self.model = setup.build_model(self.main, self.splits["train"].window)
        example = next(eval_batches(self.splits["test"], 1))
        self.params = load_params(workdir, setup.abstract_params(self.model, example, mesh))
        self.subject = {
            name: np.array([examples.clip(i).subject for i in range(len(examples))])
            for name, examples in self.splits.items()
        }
        self._forward = jax.jit(self._apply_model)

    def clip_id(self, index: int) -> str:
        """The id of a training clip."""
        return self.splits["train"].clip(index).clip_id

    def fields(self, split: str) -> Fields:
        """Arrays over the clips of a split; in `train` each clip occurs `config.copies` times."""
        if split not in self._fields:
            examples = self.splits[split]
            if split == "train":
                rows = self._copies * len(examples) // self._batch * self._batch
                self._fields[split] = self._compute(self._augmented_batches(), rows)
            else:
                batches = whole_clip_batches(examples, self._batch)
                self._fields[split] = self._compute(batches, len(examples))
        return self._fields[split]

    def _apply_model(self, params: Any, batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
        outputs, intermediates = self.model.apply({"params": params}, batch, train=False)  # pyright: ignore
        return aqa_inputs(outputs, intermediates, batch)

    def _augmented_batches(self) -> Iterator[Fields]:
        """Batches with several augmented copies of every training clip."""
        examples, batch = self.splits["train"], self._batch
        stream = iter(
            train_batches(
                examples,
                Augmentation(**self.main.augment.to_dict()),
                batch,
                seed=0,
                threads=self.main.data.threads,
                field="config.eval.batch_size",
            )
        )
        count = self._copies * len(examples) // batch
        progress = tqdm.tqdm(range(count), desc="features of training clips", unit="batch")
        return ({"_mask": np.ones(batch, bool)} | next(stream) for _ in progress)  # pyright: ignore

    def _compute(self, batches: Iterator[Fields], rows: int) -> Fields:
        """The model's outputs and the labels of so many rows, without the padding of the batches.

        There may be many copies, so they are stored in place, and outputs in half precision.
        """
        stored: Fields = {}
        done = 0
        for host in batches:
            if self._muscles:
                host = host | _queries(self._muscles, host)
            outputs = jax.device_get(
                self._forward(self.params, mesh_lib.put_batch(self._mesh, host))
            )
            measured = _MEASURED if self.has_emg else ()
            fields = {name: host[name] for name in (*_BATCH_FIELDS, *measured)}
            fields |= {name: _halved(np.asarray(value)) for name, value in outputs.items()}
            real = np.flatnonzero(host["_mask"])
            for name, value in fields.items():
                if name not in stored:
                    stored[name] = np.empty((rows, *value.shape[1:]), value.dtype)
                stored[name][done : done + len(real)] = value[real]
            done += len(real)
        assert done == rows
        return stored

    def with_emg_source(self, split: str, source: str, seed: int) -> Fields:
        """The fields of a split with the EMG of `source`.

        Args:
          split: name of the split.
          source: of `EMG_SOURCES`.
          seed: draws the repetition whose EMG is lent (`shuffled`, `from_other_subject`).

        Raises:
          UserError: no other subject does the action of a clip.
        """
        fields = self.fields(split)
        if source == "measured":
            if not self.has_emg:
                raise UserError(
                    f"config.emg_source=measured: {self.main.data.name} has no electrodes; choose "
                    "another source, or another config.dataset"
                )
            return fields | {"activity": fields["emg"]}
        if source not in ("shuffled", "from_other_subject"):
            return fields
        rng = np.random.default_rng([seed, len(fields["index"])])
        owner = self.subject[split][fields["index"]]
        lender = np.empty(len(owner), int)
        for row in range(len(owner)):
            allowed = owner != owner[row]
            if source == "from_other_subject":
                allowed &= fields["action"] == fields["action"][row]
            if not allowed.any():
                raise UserError(
                    f"{split}: no other subject does the action of clip {fields['index'][row]}, "
                    f"as config.emg_source={source} needs"
                )
            lender[row] = rng.choice(np.flatnonzero(allowed))
        return fields | {name: fields[name][lender] for name in _EMG_FIELDS}


def _halved(value: np.ndarray) -> np.ndarray:
    return value.astype(np.float16) if value.dtype == np.float32 else value


def _full(value: np.ndarray | np.generic) -> np.ndarray:
    """What is stored in half precision, in single precision."""
    value = np.asarray(value)
    return value.astype(np.float32) if value.dtype == np.float16 else value


def _found(test: Examples, noise: bool) -> tuple[FoundRepetitions, Examples]:
    """The test sets again, cut where their repetitions are found.

    Args:
      test: repetitions that are cut where they are.
      noise: whether they are found in, and judged by, poses with the errors of an estimator.

    Raises:
      UserError: the clips are single repetitions or have no pose.
    """
    assert isinstance(test.source, Repetitions)
    sets = test.source.source
    first = sets[0]
    if first.repetitions is None or not len(first.pose_time):
        raise UserError(
            f"config.eval.found: needs sets of repetitions with a pose, and clip {first.clip_id!r} "
            f"{'has no pose' if first.repetitions else 'is a single repetition'}"
        )
    if noise:
        sets = SeenClips(sets, ESTIMATOR_NOISE)
    found = FoundRepetitions(sets, test.window.seconds)
    examples = Examples(
        found, test.window, test.chain, test.normalisation, _FOUND_BYTES, test.labels
    )
    return found, examples


def _muscles_of_run(workdir: Path) -> tuple[str, ...]:
    """The muscles on which the training people of a Video→EMG run have electrodes."""
    actions = OODDetector.load(workdir).about["muscles"].values()
    return tuple(dict.fromkeys(muscle for muscles in actions for muscle in muscles))


def _queries(muscles: Sequence[str], host: Fields) -> Fields:
    """Asks for muscles that no electrode is on, for as long as the pose is known."""
    muscle, side = muscle_queries(muscles)
    rows, samples = len(host["emg"]), host["emg"].shape[1]
    known = np.asarray(host["pose_mask"].any(-1))
    known = known[:, np.arange(samples) * known.shape[1] // samples]
    shape = (rows, samples, len(muscles))
    return {
        "muscle": np.broadcast_to(muscle, (rows, len(muscles))),
        "side": np.broadcast_to(side, (rows, len(muscles))),
        "emg_mask": np.broadcast_to(known[..., None], shape),
    }


def cache_key(config: Config) -> str:
    """What the configurations of runs must have in common to share `FrozenFeatures`."""
    parts = (config.video2emg, config.graph, config.copies, config.model.phase_samples)
    parts += (tuple(config.get("views", ())), config.dataset)
    parts += (config.eval.pose_noise, config.eval.clean, config.eval.found)
    parts += (tuple(config.eval.hide),)
    return repr((*parts, config.eval.batch_size, config.main.to_json(sort_keys=True)))


def whole_clip_batches(examples: Examples, batch: int) -> Iterator[Fields]:
    """`eval_batches` of clips that fit into one window: a repetition is assessed as a whole.

    Raises:
      UserError: a clip is longer than the window.
    """
    for index in range(len(examples)):
        if len(examples.window_starts(index)) > 1:
            raise UserError(
                f"clip {examples.clip(index).clip_id!r} is longer than the window of "
                f"{examples.window.seconds:g} s; train Video→EMG with a larger config.data.seconds"
            )
    return eval_batches(examples, batch)


@dataclasses.dataclass(frozen=True)
class FeatureDataset:
    """Rows of `FrozenFeatures.fields`, each with an exemplar of the same action if there are any.

    Attributes:
      fields: to be read.
      exemplars: training repetitions with their scores; None for none.
    """

    fields: Fields
    exemplars: Fields | None = None

    def __len__(self) -> int:
        return len(self.fields["index"])

    def row(self, index: int, rng: np.random.Generator) -> Fields:
        """One example, with a random exemplar."""
        return self._with_exemplar(index, lambda allowed: int(rng.choice(allowed)))

    def eval_row(self, index: int, vote: int) -> Fields:
        """One example, with a repetition that is the exemplar of no other of its votes.

        Where an action has fewer repetitions than there are votes, they are taken in turn.
        """

        def choose(allowed: np.ndarray) -> int:
            rng = np.random.default_rng(index)
            repetition = self.exemplars["index"][allowed]  # pyright: ignore[reportOptionalSubscript]
            order = rng.permutation(np.unique(repetition))
            copies = allowed[repetition == order[vote % len(order)]]
            return int(np.random.default_rng([index, vote]).choice(copies))

        return self._with_exemplar(index, choose)

    def _with_exemplar(self, index: int, choose: Callable[[np.ndarray], int]) -> Fields:
        example = {name: _full(value[index]) for name, value in self.fields.items()}
        if self.exemplars is None:
            return example
        allowed = self.exemplars["action"] == example["action"]
        if self.exemplars is self.fields:  # a repetition is no exemplar of itself
            allowed &= self.exemplars["index"] != example["index"]
        chosen = choose(np.flatnonzero(allowed))
        exemplar = {EXEMPLAR + name: _full(value[chosen]) for name, value in self.exemplars.items()}
        return example | exemplar

    def train_batches(self, batch: int, seed: int, start: int = 0) -> grain.IterDataset:
        """Endless shuffled batches from number `start` on.

        Raises:
          UserError: the split has fewer rows than a batch.
        """
        if len(self) < batch:
            raise UserError(
                f"config.train.batch_size {batch} is larger than the training split "
                f"({len(self)} rows)"
            )
        return stream(
            grain.MapDataset.range(len(self)).seed(seed).shuffle(),
            lambda index, rng: self.row(int(index), rng),
            batch,
            start=start,
            threads=1,
        )

    def eval_batches(self, batch: int, vote: int = 0) -> Iterator[Fields]:
        """Every row once, in order; the last batch is padded, `_mask` is false there.

        Args:
          batch: rows of each batch.
          vote: number of the prediction, of which each has another exemplar; see `eval_row`.
        """
        for first in range(0, len(self), batch):
            rows = [self.eval_row(i, vote) for i in range(first, min(first + batch, len(self)))]
            real = len(rows)
            rows += [rows[-1]] * (batch - real)
            stacked = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
            yield stacked | {"_mask": np.arange(batch) < real}
