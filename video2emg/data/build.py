"""Builds a dataset on disk: whole or not at all, also if builds meet or are killed."""

import contextlib
import errno
import fcntl
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from video2emg.core.errors import UserError
from video2emg.core.files import write_json
from video2emg.data.kept_clips import folder_of_this_code

SIZES = "file_sizes.json"
SOURCE = "source.json"


def build(
    builder_class: Any,
    config: str,
    data_dir: Path,
    source: Path | None,
    beam: str,
    estimate_pose: str = "",
) -> Path:
    """Builds a dataset unless it exists; a second process waits for the first.

    The files are written to a folder beside the final one, which is renamed at the end; the list of
    their sizes is written last. The next build removes what a killed one left behind, but for the
    clips of a builder that keeps them, which it need not make again.

    Args:
      builder_class: a `ClipBuilder`, or any other builder of TFDS, which keeps no clips.
      config: name of one of its configurations.
      data_dir: the folder of all datasets, on a file system that can lock files.
      source: folder of the original files, if the dataset is made of some.
      beam: options of an Apache Beam pipeline, e.g. `--runner=DirectRunner`; if empty, processes of
        this machine build the dataset.
      estimate_pose: see `ClipBuilder`.

    Returns:
      The dataset's folder.

    Raises:
      UserError: no room, no Beam, or the folder cannot be locked.
    """
    folder = Path(builder_class(config=config, data_dir=data_dir).data_dir)
    staging = folder.parent / f".{folder.name}.building"
    kept = folder.parent / f".{folder.name}.clips"
    with _lock(folder.parent / f".{folder.name}.lock"):
        if folder.exists():
            shutil.rmtree(kept, ignore_errors=True)  # of a build that was killed at its very end
            return folder
        print(f"building the dataset {folder}", file=sys.stderr)
        shutil.rmtree(staging, ignore_errors=True)
        builder = builder_class(config=config, data_dir=staging, file_format="array_record")
        builder.estimate_pose = estimate_pose
        if getattr(builder, "keeps_clips", False):
            builder.kept = folder_of_this_code(kept)
        try:
            _run(builder, source, beam)
            built = Path(builder.data_dir)
            if hasattr(builder, "fingerprint"):
                write_json(built / SOURCE, builder.fingerprint(source))
            write_json(built / SIZES, data_files(built))
            built.rename(folder)
            shutil.rmtree(kept, ignore_errors=True)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                clips = f" (clips for the next try are in {kept})" if kept.exists() else ""
                raise UserError(
                    f"{folder}: disk full while building; free some room, or another "
                    f"place with --config.data.dir=…{clips}"
                ) from error
            raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return folder


def data_files(folder: Path) -> dict[str, int]:
    """Size of every file of a dataset except the list of sizes itself, bytes."""
    return {
        f.name: f.stat().st_size for f in sorted(folder.iterdir()) if not f.name.startswith(SIZES)
    }


def _run(builder: Any, source: Path | None, beam: str) -> None:
    tfds.disable_progress_bar()  # builders show their own, of clips
    settings: dict[str, Any] = {"manual_dir": source} if source else {}
    if beam:
        try:
            from apache_beam.options import (  # pyright: ignore[reportMissingImports]
                pipeline_options,
            )
        except ImportError:
            raise UserError(
                'building with Apache Beam needs its package: pip install ".[beam]"'
            ) from None
        options = pipeline_options.PipelineOptions(shlex.split(beam))
        runner = options.view_as(pipeline_options.StandardOptions).runner or "DirectRunner"
        settings |= {"beam_options": options, "beam_runner": runner}
        builder.beam = True
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(**settings) if settings else None
    )


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Holds a lock that the kernel releases when the process ends, in whatever way."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another process is building {path.parent}; waiting for it", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise UserError(
                f"{path}: cannot be locked ({error.strerror}); build on a local disk, then copy"
            ) from None
        yield
