"""Builds a dataset: it is there whole or not at all, whoever else builds and whatever dies."""

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

SIZES = "file_sizes.json"
SOURCE = "source.json"


def build(builder_class: Any, config: str, data_dir: Path, source: Path | None, beam: str) -> Path:
    """Builds a dataset if it is not there; a second process waits for the first.

    Everything is written to a folder beside the final one, sealed with the files' sizes, and
    renamed. What a killed build left behind is removed by the next one.

    Args:
      builder_class: of TFDS.
      config: its name.
      data_dir: where datasets live; must be a file system that can lock files.
      source: the source's own files, if any.
      beam: options of an Apache Beam pipeline, e.g. `--runner=DirectRunner`; empty: processes of
        this machine.

    Returns:
      The dataset's folder.

    Raises:
      UserError: no room, no Beam, or the folder cannot be locked.
    """
    folder = Path(builder_class(config=config, data_dir=data_dir).data_dir)
    staging = folder.parent / f".{folder.name}.building"
    with _alone(folder.parent / f".{folder.name}.lock"):
        if folder.exists():
            return folder
        shutil.rmtree(staging, ignore_errors=True)
        builder = builder_class(config=config, data_dir=staging, file_format="array_record")
        try:
            _run(builder, source, beam)
            made = Path(builder.data_dir)
            if hasattr(builder, "fingerprint"):
                write_json(made / SOURCE, builder.fingerprint(source))
            write_json(made / SIZES, data_files(made))
            made.rename(folder)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise UserError(
                    f"{folder}: disk full while building; free some room, or another "
                    "place with --config.data.dir=…"
                ) from error
            raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return folder


def data_files(folder: Path) -> dict[str, int]:
    """Size of every file of a dataset but the seal itself, bytes."""
    return {
        f.name: f.stat().st_size for f in sorted(folder.iterdir()) if not f.name.startswith(SIZES)
    }


def _run(builder: Any, source: Path | None, beam: str) -> None:
    tfds.disable_progress_bar()  # the builders show their own, with clips and time left
    settings: dict[str, Any] = {"manual_dir": source} if source else {}
    if beam:
        try:
            from apache_beam.options import (  # pyright: ignore[reportMissingImports]
                pipeline_options,
            )
        except ImportError:
            raise UserError(
                'building with Apache Beam needs its package: pip install "video2emg[beam]"'
            ) from None
        options = pipeline_options.PipelineOptions(shlex.split(beam))
        runner = options.view_as(pipeline_options.StandardOptions).runner or "DirectRunner"
        settings |= {"beam_options": options, "beam_runner": runner}
        builder.beam = True
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(**settings) if settings else None
    )


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Holds a lock that the kernel lets go when the process ends, however it ends."""
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
