"""A finished run as a small folder that `predict --run` reads, to be shared or shipped."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from video2emg.aqa.build import AQA_HEAD_FILE, video2emg_workdir
from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.core.files import write_json, write_text
from video2emg.eval import results
from video2emg.eval.shrinkage import FILE as PERSON_PRIOR
from video2emg.export.model_card import packed_card, packed_head_card
from video2emg.inference.run import RESULTS, Run, open_run
from video2emg.parallel.hosts import log
from video2emg.run.workdir import read_config
from video2emg.train.checkpoint import save_params

CARD = "README.md"
_DETAILS = ("by_action", "by_subject", "by_error")  # that a packed run does not keep
_FOLDERS = ("dir", "manual_dir")  # of config.data, on the machine that trained


def pack(run: str | Path, out: str | Path, command: str = "") -> Path:
    """Writes config, parameters of 16 bits, detector, main results and a model card.

    Of an AQA run, its head is packed, and its Video→EMG run in the folder `video2emg` within.

    Args:
      run: workdir of a finished Video→EMG or AQA run.
      out: new or empty folder.
      command: that trained the run, for the card.

    Returns:
      The folder.

    Raises:
      UserError: the run is not finished, trained head and Video→EMG together, or the folder is not
        empty.
    """
    out = Path(out).expanduser()
    opened = open_run(run)
    if out.exists() and any(out.iterdir()):
        raise UserError(f"--out {out}: is not empty; choose another folder")
    config = read_config(opened.workdir)
    if config.job == "aqa":
        if config.emg_source == "predicted":
            raise UserError(f"{run}: trained head and Video→EMG together; pack a frozen one")
        _pack_head(opened, config, out, command or "python launch.py --config configs/aqa.py")
    else:
        _pack_video2emg(opened, out, command or "python launch.py --config configs/v2emg.py")
    log(f"{out}: {sum(f.stat().st_size for f in out.rglob('*') if f.is_file()) / 2**20:.1f} MiB")
    return out


def _pack_video2emg(opened: Run, out: Path, command: str) -> None:
    """Writes a Video→EMG run."""
    small = _small(opened.params, opened.workdir)
    save_params(out, small)
    detector = opened.ood_detector
    # Eighths of a standard deviation: distances hardly change, and the file is a third as large.
    feature = (np.round(8 * detector.feature.astype(np.float32)) / 8).astype(np.float16)
    dataclasses.replace(detector, feature=feature).save(out)
    config = json.loads((opened.workdir / "config.json").read_text())
    config["data"] |= dict.fromkeys(_FOLDERS, "")
    write_json(out / "config.json", config)
    if (prior := opened.workdir / PERSON_PRIOR).exists():
        shutil.copyfile(prior, out / PERSON_PRIOR)
    _write_results(opened.workdir, out, ("calibration",))
    write_text(out / CARD, packed_card(opened, fingerprint(small), command))


def _pack_head(opened: Run, config: Config, out: Path, command: str) -> None:
    """Writes an AQA run: its head, and its Video→EMG run."""
    assert opened.aqa_head is not None
    small = _small(opened.aqa_head.params, opened.workdir)
    source = video2emg_workdir(config, opened.workdir)
    _pack_video2emg(open_run(source), out / "video2emg", "see ../config.json, `main`")
    if (card := source / CARD).exists():  # of a packed run, whose command is known
        shutil.copyfile(card, out / "video2emg" / CARD)
    save_params(out, small)
    shutil.copyfile(opened.workdir / AQA_HEAD_FILE, out / AQA_HEAD_FILE)
    written = json.loads((opened.workdir / "config.json").read_text())
    written["main"]["data"] |= dict.fromkeys(_FOLDERS, "")
    write_json(out / "config.json", written | {"video2emg": ""})
    _write_results(opened.workdir, out, ())
    write_text(out / CARD, packed_head_card(opened, fingerprint(small), command))


def _small(params: Any, workdir: Path) -> Any:
    """The parameters in 16 bits."""
    small = jax.tree.map(lambda x: np.asarray(x, np.float16), jax.device_get(params))
    if not all(np.isfinite(x).all() for x in jax.tree.leaves(small)):
        raise UserError(f"{workdir}: its parameters are too large for 16 bits")
    return small


def _write_results(workdir: Path, out: Path, parts: Sequence[str]) -> None:
    """The scores of the model, of all and by muscle, and other parts."""
    whole = results.read_results(workdir / RESULTS)
    model = {k: v for k, v in whole["test"]["model"].items() if k not in _DETAILS}
    test = {"model": model} | {name: whole["test"].get(name) for name in parts}
    results.write_results(out / RESULTS, {"provenance": whole["provenance"], "test": test})


def fingerprint(params: Any) -> str:
    """SHA-256 of the parameters, in the order of their names."""
    digest = hashlib.sha256()
    for path, value in jax.tree_util.tree_leaves_with_path(params):
        digest.update(jax.tree_util.keystr(path).encode())
        digest.update(np.ascontiguousarray(value, np.float16).tobytes())
    return digest.hexdigest()
