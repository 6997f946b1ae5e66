"""The table of objectives: what each representation knows, beside what is trivial to know."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from video2emg.aqa import baselines
from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.core.files import folder, write_arrays
from video2emg.data.pipeline import Examples
from video2emg.data.store import open_dataset
from video2emg.eval import evaluate
from video2emg.jobs import compare, representation
from video2emg.parallel.hosts import log
from video2emg.representation import figure as picture
from video2emg.representation import probes, report
from video2emg.representation.probes import ProbePredictions, ProbeTargets, WindowEmbeddings
from video2emg.run import setup
from video2emg.run.workdir import init_workdir

PICTURES, MEASURED = "small pictures", "measured EMG"


def run(config: Config, rows: Iterable[tuple[str, Config]], workdir: str | Path) -> dict[str, Any]:
    """Runs (or resumes) every objective and seed, then writes the table.

    Args:
      config: `seeds`; `reference`, the row that the others are compared with; `only`, names of
        rows with commas between, all if empty; `bootstrap`, samples.
      rows: name, also of its folder, and config of each; its own seed counts for nothing.
      workdir: receives config.json, the workdir of every run under `<row>/<seed>`, results.json,
        compare.txt and compare.png.

    Returns:
      The results, as written.
    """
    workdir = folder(workdir, "--workdir")
    every = dict(rows)
    chosen = {name: every[name] for name in compare.choose(config, list(every))}
    init_workdir(workdir, config)
    answers: dict[str, list[ProbePredictions]] = {}
    facts: dict[str, dict[str, Any]] = {}
    clips: dict[str, ProbeTargets] = {}
    place = None
    for number, (name, row) in enumerate(chosen.items()):
        # Without an objective every seed is another drawn encoder, so it has seeds too.
        for seed in config.seeds:
            log(f"row {number + 1} of {len(chosen)}: {name}, seed {seed}")
            variant = row.copy_and_resolve_references()
            variant.train.seed = seed
            at = workdir / name / str(seed)
            facts[name] = representation.run(variant, at)["provenance"]
            features, windows, found = representation.read(at / representation.FEATURES)
            if clips and found["test"].clip_id.tolist() != clips["test"].clip_id.tolist():
                raise UserError(f"{at}: tested on other clips than the rows before it")
            clips = found
            place = windows.clip if windows else place
            answers.setdefault(name, []).append(probes.fit_probes(features, clips, windows))
    log("what is trivial to know")
    trivial = _trivial(next(iter(chosen.values())), clips, workdir)
    answers |= {name: [of] for name, of in trivial.items()}
    found = {
        "provenance": _common(facts) | {"seeds": list(config.seeds), "metrics": probes.METRICS},
        "test": report.compare(
            answers, clips["test"], clips["train"], config.baseline, config.bootstrap
        ),
    }
    for name in facts:
        found["test"]["rows"][name]["objective"] = facts[name]["objective"]
    return compare.finish(found, workdir, report.format_table, picture.representations)


def _common(facts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    first, *rest = facts.values()
    hashes = "".join(fact["config_hash"] for fact in facts.values())
    return {k: v for k, v in first.items() if all(f.get(k) == v for f in rest) and k != "seed"} | {
        "config_hash": hashlib.sha256(hashes.encode()).hexdigest()[:16]
    }


def _trivial(
    config: Config, clips: Mapping[str, ProbeTargets], workdir: Path
) -> dict[str, ProbePredictions]:
    """Rows that no representation is needed for."""
    train, test = clips["train"], clips["test"]
    path = workdir / "trivial.npz"
    if not path.exists():
        dataset = open_dataset(config.data.name, config.data.dir, config.data.manual_dir)
        splits, _ = setup.load_splits(config, dataset)
        seen: dict[str, np.ndarray] = {}
        for split, examples in splits.items():
            series = evaluate.series_of(examples, descriptors=True)
            seen[f"{PICTURES}/{split}"] = np.stack([np.asarray(s.descriptor) for s in series])
            felt = baselines.emg_features(series)
            if len({len(f) for f in felt}) == 1:
                seen[f"{MEASURED}/{split}"] = np.stack(felt)
        write_arrays(path, seen | _durations(splits["test"]))
    with np.load(path) as arrays:
        seen = dict(arrays)
    windows = WindowEmbeddings(**{f: seen[f"duration/{f}"] for f in ("clip", "video", "emg")})
    query, hits = probes.retrieval_hits(windows, test)
    prior = probes.prior(train, test)
    found = {
        "nothing": ProbePredictions(prior.predictions, *probes.chance_hits(windows.clip, test)),
        "duration": ProbePredictions({}, query, hits),
    }
    for name in (PICTURES, MEASURED):
        if f"{name}/test" in seen:
            found[name] = probes.fit_probes(
                {split: seen[f"{name}/{split}"] for split in clips}, clips
            )
    return found


def _durations(examples: Examples) -> dict[str, np.ndarray]:
    """Embeddings whose product says how alike the lengths of video and EMG are, (s)²."""
    clip, video, emg = [], [], []
    for index in range(len(examples)):
        one = examples.clip(index)
        seen = one.frame_time if examples.window.views else one.pose_time
        for start in examples.tile_starts(index):
            clip.append(index)
            v, e = (min(t[-1] - start, examples.window.seconds) for t in (seen, one.emg_time))
            # -(v - e)² = 2ve - v² - e².
            video.append([2 * v, -(v**2), -1.0])
            emg.append([e, 1.0, e**2])
    return {
        "duration/clip": np.array(clip),
        "duration/video": np.array(video),
        "duration/emg": np.array(emg),
    }
