"""A finished run as a small folder that `predict --run` reads, to be shared or shipped."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np

from video2emg.core.errors import UserError
from video2emg.core.files import write_json, write_text
from video2emg.eval import out_of_domain, results
from video2emg.export.model_card import packed_card
from video2emg.inference.run import RESULTS, open_run
from video2emg.parallel.hosts import log
from video2emg.train.checkpoint import save_params

CARD = "README.md"
_COMMAND = "python launch.py --config configs/v2emg.py"  # with the values of config.json
_FOLDERS = ("dir", "manual_dir")  # of config.data, on the machine that trained


def pack(run: str | Path, out: str | Path, command: str = "") -> Path:
    """Writes config, parameters of 16 bits, detector, main results and a model card.

    Args:
      run: workdir of a finished Video→EMG run.
      out: new or empty folder.
      command: that trained the run, for the card.

    Returns:
      The folder.

    Raises:
      UserError: the run is not finished or has an AQA head, or the folder is not empty.
    """
    out = Path(out).expanduser()
    opened = open_run(run)
    if opened.aqa_head is not None:
        raise UserError(f"{run}: runs with an AQA head cannot be packed yet")
    if out.exists() and any(out.iterdir()):
        raise UserError(f"--out {out}: is not empty; choose another folder")
    small = jax.tree.map(lambda x: np.asarray(x, np.float16), jax.device_get(opened.params))
    if not all(np.isfinite(x).all() for x in jax.tree.leaves(small)):
        raise UserError(f"{run}: its parameters are too large for 16 bits")
    out.mkdir(parents=True, exist_ok=True)
    save_params(out, small)
    shutil.copyfile(opened.workdir / out_of_domain.FILE, out / out_of_domain.FILE)
    config = json.loads((opened.workdir / "config.json").read_text())
    config["data"] |= dict.fromkeys(_FOLDERS, "")
    write_json(out / "config.json", config)
    found = results.read_results(opened.workdir / RESULTS)
    kept = {"provenance": found["provenance"], "test": {"model": found["test"]["model"]}}
    kept["test"]["calibration"] = found["test"].get("calibration")
    write_text(out / CARD, packed_card(opened, fingerprint(small), command or _COMMAND))
    results.write_results(out / RESULTS, kept)
    log(f"{out}: {sum(f.stat().st_size for f in out.rglob('*') if f.is_file()) / 2**20:.1f} MiB")
    return out


def fingerprint(params: Any) -> str:
    """SHA-256 of the parameters, in the order of their names."""
    digest = hashlib.sha256()
    for path, value in jax.tree_util.tree_leaves_with_path(params):
        digest.update(jax.tree_util.keystr(path).encode())
        digest.update(np.ascontiguousarray(value, np.float16).tobytes())
    return digest.hexdigest()
