"""The personalisation job: adapts a finished model to a person from a few measured repetitions.

Some repetitions of every test subject are revealed. The same other repetitions are predicted for
every method and every number of revealed ones. Settings are chosen on validation subjects in the
same way.
"""

import functools
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tqdm

from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.core.files import folder
from video2emg.data.batches import eval_batches
from video2emg.data.examples import Examples
from video2emg.data.store import open_dataset
from video2emg.eval import comparison, evaluate, results, scores
from video2emg.eval.baselines import predict_baselines
from video2emg.eval.calibration import GainOffset
from video2emg.eval.series import ClipSeries
from video2emg.jobs import Options
from video2emg.models import finetune
from video2emg.parallel import mesh as mesh_lib
from video2emg.parallel.hosts import log
from video2emg.run import setup
from video2emg.run.tables import write_table
from video2emg.run.workdir import init_workdir, provenance, read_config
from video2emg.train.losses import masked_mean
from video2emg.train.step import predict_step

# Parameters that gradient methods change: the layer of the output samples, or low-rank changes.
TRAINED = {"head": re.compile(r"decoder/(samples|output_scale)"), "lora": re.compile("lora/")}
METHODS = ("gain", *TRAINED)


def run(config: Config, workdir: str | Path, options: Options | None = None) -> dict[str, Any]:
    """Runs the job.

    Args:
      config: `run`, the workdir of a finished main job; `hidden`, its views and inputs that are
        hidden; `repetitions`, numbers of revealed ones; `methods`, of `METHODS`; `draws`, random
        draws of the revealed repetitions; `strengths`, candidates of `GainOffset`; `steps`,
        candidates; `learning_rate`, `rank`; `data_dir`; `bootstrap`.
      workdir: receives config.json, results.json, table.txt and table.png.
      options: nothing of it is used.

    Returns:
      The results, as written.
    """
    workdir = folder(workdir, "--workdir")
    unknown = sorted(set(config.methods) - set(METHODS))
    if unknown:
        raise UserError(f"config.methods: {', '.join(unknown)} is not one of {', '.join(METHODS)}")
    if not config.repetitions or min(config.repetitions) < 1:
        raise UserError(f"config.repetitions: {tuple(config.repetitions)}; positive numbers wanted")
    main = read_config(config.run)
    inputs = (*main.data.views, *main.model.get("extra_inputs", ()))
    if unknown := sorted({*config.hidden} - {*inputs}):
        raise UserError(
            f"config.hidden: the run has no input {', '.join(unknown)}; it has {', '.join(inputs)}"
        )
    init_workdir(workdir, config)
    if (workdir / "results.json").exists():
        log("finished before; to run again, choose another --workdir")
        return write_table(results.read_results(workdir / "results.json"), workdir)
    main.data.dir = config.data_dir or main.data.dir
    dataset = open_dataset(main.data.name, main.data.dir, main.data.manual_dir)
    splits, _ = setup.load_splits(main, dataset, cut=True)
    splits = {name: examples.drop_inputs(config.hidden) for name, examples in splits.items()}
    train = evaluate.series_of(splits["train"])
    adaptation = _Adaptation(config, main, splits)
    chosen: dict[str, dict[str, Any]] = {}
    for method in config.methods:
        skills = {}
        for candidate in config.strengths if method == "gain" else config.steps:
            tables = adaptation.tables("validation", train, {method: candidate}, config.draws)
            adapted = [t for name, draws in tables.items() if name != "nothing" for t in draws]
            skills[candidate] = float(np.mean([scores.score(table)["skill"] for table in adapted]))
            log(f"{method} {candidate}: skill {skills[candidate]:+.3f} on validation")
        chosen[method] = max(skills, key=lambda candidate: skills[candidate])
    tables = adaptation.tables("test", train, chosen, config.draws)
    outcome = {
        "provenance": provenance(main, dataset) | {"settings": chosen},
        "test": comparison.compare(tables, "nothing", config.bootstrap),
    }
    for name, row in outcome["test"]["rows"].items():
        shown = [] if main.data.views else ["pose"]
        shown += [name for name in inputs if name not in config.hidden]
        row["sees"] = ", ".join(shown + ([] if name == "nothing" else ["EMG"]))
    return write_table(outcome, workdir)


class _Adaptation:
    """The model, and its predictions after some repetitions of a person are revealed."""

    def __init__(self, config: Config, main: Config, splits: Mapping[str, Examples]) -> None:
        self._config, self._splits = config, splits
        self._batch = main.eval.batch_size
        self._mesh = mesh_lib.make_mesh(**main.parallel)
        model, params = setup.load_trained(main, Path(config.run), splits["test"], self._mesh)
        self._series = {s: evaluate.series_of(splits[s]) for s in ("validation", "test")}
        with jax.transfer_guard("allow"):
            model, params = finetune.plain(model, jax.device_get(params))
        lora = finetune.Adapted(
            model,
            finetune.Finetune(
                mode="lora", path="pose_network/", adapt="/kernel$", rank=config.rank
            ),
        )
        self._models: dict[str, tuple[Any, Any]] = {
            "gain": (model, params),
            "head": (model, params),
        }
        if "lora" in config.methods:
            self._models["lora"] = (lora, lora.adapt(params, jax.random.key(0)))
        self._predict = {
            name: jax.jit(predict_step(model), out_shardings=mesh_lib.replicated(self._mesh))
            for name, (model, _) in self._models.items()
        }
        self._plain = {
            split: evaluate.predict(
                self._predict["gain"], params, splits[split], self._batch, self._mesh
            )
            for split in self._series
        }

    def tables(
        self, split: str, train: list[ClipSeries], settings: Mapping[str, Any], draws: int
    ) -> dict[str, list[scores.Table]]:
        """Per method and number of repetitions, and for `nothing` revealed: one table per draw."""
        series, plain = self._series[split], self._plain[split]
        template = predict_baselines(train, series, ["template"])["template"]
        most = max(self._config.repetitions)
        tables: dict[str, list[scores.Table]] = {}
        jobs = [(m, s, k) for m, s in settings.items() for k in self._config.repetitions]
        progress = tqdm.tqdm(total=draws * len(jobs), desc=f"{split}: {', '.join(settings)}")
        for draw in range(draws):
            revealed, asked = reveal(series, most, draw)

            def tabulate(
                predictions: Mapping[int, np.ndarray], asked: list[int] = asked
            ) -> scores.Table:
                return scores.tabulate(
                    [series[i] for i in asked],
                    [predictions[i] for i in asked],
                    [template[i] for i in asked],
                )

            tables.setdefault("nothing", []).append(tabulate(dict(enumerate(plain))))
            for method, setting, k in jobs:
                predictions: dict[int, np.ndarray] = {}
                for subject, clips in revealed.items():
                    own = [i for i in asked if series[i].subject == subject]
                    predictions |= self._adapted(split, method, setting, clips[:k], own)
                name = f"{method}, {k} repetition{'s' if k > 1 else ''}"
                tables.setdefault(name, []).append(tabulate(predictions))
                progress.update()
        progress.close()
        return tables

    def _adapted(
        self, split: str, method: str, setting: Any, known: list[int], asked: list[int]
    ) -> dict[int, np.ndarray]:
        """Predictions of the clips `asked`, with those of `known` revealed."""
        series, plain = self._series[split], self._plain[split]
        if method == "gain":
            fit = GainOffset(setting).fit([series[i] for i in known], [plain[i] for i in known])
            return {i: fit.apply(series[i], plain[i]) for i in asked}
        params = self._fine_tuned(method, split, known, setting)
        predictions = evaluate.predict(
            self._predict[method], params, self._splits[split], self._batch, self._mesh, asked
        )
        return dict(zip(asked, predictions, strict=True))

    def _fine_tuned(self, method: str, split: str, known: list[int], steps: int) -> Any:
        """Parameters after so many steps on the revealed clips."""
        examples = self._splits[split]
        # The batches of all persons have one shape, so that one compiled program serves all.
        most = max(self._config.repetitions) * self._windows_per_clip[split]
        (host,) = eval_batches(examples, most, clips=known, stride=examples.window.seconds)
        mask = host["emg_mask"] & host["_mask"][:, None, None]
        batch = {k: v for k, v in host.items() if k[0] != "_"} | {"emg_mask": mask}
        _, start = self._models[method]
        flat = flax.traverse_util.flatten_dict(start, sep="/")
        moving = {k: jnp.asarray(v) for k, v in flat.items() if TRAINED[method].match(k)}
        still = {k: v for k, v in flat.items() if k not in moving}
        trained = jax.device_get(self._steps[method](moving, still, batch, steps))
        return flax.traverse_util.unflatten_dict(still | trained, sep="/")

    @functools.cached_property
    def _windows_per_clip(self) -> dict[str, int]:
        """Per split, the most windows side by side that a clip has."""
        return {
            name: max(len(of.window_starts(i, of.window.seconds)) for i in range(len(of)))
            for name, of in self._splits.items()
        }

    @functools.cached_property
    def _steps(self) -> dict[str, Callable[..., Any]]:
        """Per method: `(moving, still, batch, steps) -> moving` by Adam."""
        tx = optax.adam(self._config.learning_rate)

        def descend(model: Any, moving: Any, still: Any, batch: Any, steps: Any) -> Any:
            def loss(moving: Any) -> jax.Array:
                params = flax.traverse_util.unflatten_dict(still | moving, sep="/")
                outputs, _ = model.apply({"params": params}, batch, train=False)
                return masked_mean((outputs.emg - batch["emg"]) ** 2, batch["emg_mask"])

            def step(_: Any, state: Any) -> Any:
                moving, memory = state
                updates, memory = tx.update(jax.grad(loss)(moving), memory)
                return optax.apply_updates(moving, updates), memory

            return jax.lax.fori_loop(0, steps, step, (moving, tx.init(moving)))[0]

        return {
            name: jax.jit(functools.partial(descend, model))
            for name, (model, _) in self._models.items()
        }


def reveal(
    series: Sequence[ClipSeries], most: int, draw: int
) -> tuple[dict[str, list[int]], list[int]]:
    """Per subject, `most` clips in a random order, of which fewer are revealed first; all others.

    Raises:
      UserError: a subject has no clip left.
    """
    revealed, asked = {}, []
    for subject in sorted({clip.subject for clip in series}):
        own = [i for i, clip in enumerate(series) if clip.subject == subject]
        if len(own) <= most:
            raise UserError(
                f"subject {subject!r} has {len(own)} clips; revealing {most} leaves none to predict"
            )
        rng = np.random.default_rng([draw, zlib.crc32(subject.encode())])
        order = rng.permutation(own).tolist()
        revealed[subject] = order[:most]
        asked += sorted(order[most:])
    return revealed, asked
