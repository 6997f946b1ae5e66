"""The job for systems without gradients: pose or a frozen encoder's features → regressor → results.

Same data, splits, metrics and files as `video2emg`; settings of a regressor are chosen on
validation.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.core.files import folder
from video2emg.data.batches import eval_batches
from video2emg.data.examples import Examples
from video2emg.data.store import Dataset, open_dataset
from video2emg.eval import comparison, encoder_features, evaluate, results, scores
from video2emg.eval.baselines import predict_baselines
from video2emg.eval.regressors import ClipFeatures, Regressor, Retrieval, Ridge, SupportVector
from video2emg.eval.series import ClipSeries
from video2emg.jobs import Options
from video2emg.models.finetune import plain
from video2emg.models.import_weights import fingerprint
from video2emg.parallel import mesh as mesh_lib
from video2emg.parallel.hosts import log
from video2emg.run import setup
from video2emg.run.workdir import SCORES, init_workdir, provenance, read_config
from video2emg.train.checkpoint import load_params

SEES = ("pose", "encoder")
# Regressor → settings that validation chooses from.
REGRESSORS: Mapping[str, tuple[type[Regressor], tuple[dict[str, Any], ...]]] = {
    "ridge": (Ridge, tuple(dict(penalty=10.0**p) for p in range(-4, 2))),
    "support_vector": (SupportVector, tuple(dict(c=c) for c in (0.1, 0.3, 1.0, 3.0))),
    "retrieval": (Retrieval, ({},)),
    "retrieval_same_subject": (Retrieval, (dict(same_subject=True),)),
}


def run(config: Config, workdir: str | Path, options: Options | None = None) -> dict[str, Any]:
    """Runs one regressor.

    Args:
      config: as of `configs/v2emg.py`, with `regressor`: `name`, of `REGRESSORS`; `sees`, `pose` or
        `encoder`; `encoder_of`, the workdir of a finished run whose trained encoder is asked, else
        the encoder is that of `config.model`, with its pretrained weights or from its seed.
      workdir: receives config.json, scores.npz and results.json.
      options: nothing of it is used.

    Returns:
      The results, as written.
    """
    workdir = folder(workdir, "--workdir")
    _check(config)
    init_workdir(workdir, config)
    finished = workdir / "results.json"
    if finished.exists():
        log(f"finished before; results are in {finished}")
        return results.read_results(finished)
    dataset = open_dataset(config.data.name, config.data.dir, config.data.manual_dir)
    splits, _ = setup.load_splits(config, dataset)
    described = _describe(config, dataset, splits)
    train = [clip.series for clip in described["train"]]
    best, settings = _choose(config.regressor.name, described, train)
    log(f"{config.regressor.name}: predicting the test subjects")
    test = [clip.series for clip in described["test"]]
    tables = results.tables(train, test, [best.predict(clip) for clip in described["test"]])
    scored = {
        "provenance": provenance(config, dataset)
        | {
            "sees": "pose" if config.regressor.sees == "pose" else "video",
            "settings": settings,
        },
        "test": results.evaluate(tables, {series.subject for series in train}),
    }
    comparison.save(workdir / SCORES, tables)
    results.write_results(finished, scored)
    print(results.format_table(scored))
    log(f"results: {finished}")
    return scored


def _check(config: Config) -> None:
    wanted = config.regressor
    if wanted.name not in REGRESSORS:
        known = ", ".join(REGRESSORS)
        raise UserError(f"config.regressor.name: {wanted.name!r} is not one of {known}")
    if wanted.sees not in SEES:
        raise UserError(f"config.regressor.sees: {wanted.sees!r} is not one of {', '.join(SEES)}")
    if (wanted.sees == "pose") == bool(config.data.views):
        raise UserError(
            f"config.data.views: {tuple(config.data.views)}, but config.regressor.sees="
            f"{wanted.sees}: for the pose set views to (), for an encoder to one or more"
        )


def _choose(
    name: str, described: Mapping[str, list[ClipFeatures]], train: list[ClipSeries]
) -> tuple[Regressor, dict[str, Any]]:
    """The regressor that is best on validation, and its settings."""
    kind, candidates = REGRESSORS[name]
    validation = [clip.series for clip in described["validation"]]
    template = predict_baselines(train, validation, ["template"])["template"]
    best: tuple[float, Regressor, dict[str, Any]] | None = None
    for settings in candidates:
        regressor = kind(**settings).fit(described["train"])
        guess = [regressor.predict(clip) for clip in described["validation"]]
        skill = scores.score(scores.tabulate(validation, guess, template))["skill"]
        log(f"{name} {settings}: skill {skill:+.3f} on validation")
        if best is None or skill > best[0]:
            best = skill, regressor, settings
    assert best is not None
    return best[1], best[2]


def _describe(
    config: Config, dataset: Dataset, splits: Mapping[str, Examples]
) -> dict[str, list[ClipFeatures]]:
    """Every clip with what is seen of it."""
    # Baselines that search descriptors or read joint angles are not asked on validation.
    series = {
        s: evaluate.series_of(of, descriptors=s != "validation", angles=s != "validation")
        for s, of in splits.items()
    }
    if config.regressor.sees == "pose":
        return {
            split: [_pose_of(splits[split], i, one) for i, one in enumerate(of)]
            for split, of in series.items()
        }
    encode, stride, about = _encoder(config, splits)
    known = encoder_features.identity(
        config.data.name, dataset.version, splits["train"], config.model.encoder.to_dict(), about
    )
    root = Path(config.data.dir).expanduser() / "features"
    return {
        split: [
            ClipFeatures(one, seen.values.reshape(len(seen.time), -1), seen.time)
            for one, seen in zip(
                of,
                encoder_features.cached(root, split, known, splits[split], encode, stride),
                strict=True,
            )
        ]
        for split, of in series.items()
    }


def _pose_of(examples: Examples, index: int, series: ClipSeries) -> ClipFeatures:
    """Joint positions in the canonical frame, m, at the instants of the pose's own clock."""
    clip = examples.clip(index)
    if not clip.joints:
        raise UserError(f"clip {clip.clip_id!r} has no pose, which config.regressor.sees asks for")
    pose, known = examples.pose(clip, clip.pose_time)
    seen = known.any(1)
    return ClipFeatures(series, pose[seen].reshape(int(seen.sum()), -1), clip.pose_time[seen])


def _encoder(config: Config, splits: Mapping[str, Examples]):
    """The frozen encoder, its stride, and what tells it from others."""
    model = setup.build_model(config, splits["train"].window)
    like = next(eval_batches(splits["train"], 1))
    source = config.regressor.encoder_of
    if source:
        theirs = read_config(source).model.encoder.to_dict()
        if theirs != json.loads(config.model.encoder.to_json()):
            raise UserError(f"config.model.encoder: differs from that of {source}")
        mesh = mesh_lib.make_mesh(**config.parallel)
        params = load_params(Path(source), setup.abstract_params(model, like, mesh))
        inner, params = plain(model, params)
        with jax.transfer_guard("allow"):
            leaves = [np.asarray(x) for x in jax.tree.leaves(params["encoder"])]
        about = hashlib.sha256(b"".join(x.tobytes() for x in leaves)).hexdigest()[:16]
    else:
        batch = {k: v for k, v in like.items() if not k.startswith("_")}
        params = model.init(jax.random.key(config.train.seed), batch, train=False)["params"]
        inner, params = plain(model, dict(params))
        file = (config.model.get("pretrained") or {}).get("weights")
        about = fingerprint(file) if file else f"seed {config.train.seed}"

    def encode(video: jax.Array, mask: jax.Array) -> jax.Array:
        return inner.encoder.apply({"params": params["encoder"]}, video, mask, train=False)

    return encode, inner.encoder.stride, about
