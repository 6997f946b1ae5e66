"""Datasets on disk: built when missing, checked when opened, read as Clips at random."""

import dataclasses
import errno
import importlib
import json
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from video2emg.data.clip import Clip
from video2emg.data.datasets import schema
from video2emg.errors import UserError
from video2emg.files import write_json

DATASETS = ("gymsim", "flex", "mia", "recordings")
_SIZES = "file_sizes.json"
_SOURCE = "source.json"


class ClipSource:
    """Random access to the clips of one split (a `grain.sources.RandomAccessDataSource`)."""

    def __init__(self, source, where: str):
        """Wraps a TFDS data source; `where` names it in errors."""
        self._source = source
        self._where = where

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Clip:
        try:
            return schema.from_example(self._source[int(index)])
        except (ValueError, RuntimeError, OSError, KeyError) as error:
            raise UserError(
                f"{self._where}: record {index} is damaged ({error}); delete the folder to rebuild"
            ) from error

    def __iter__(self) -> Iterator[Clip]:
        return (self[i] for i in range(len(self)))


@dataclasses.dataclass(frozen=True)
class Dataset:
    """An opened dataset.

    Attributes:
      version: of the builder.
      splits: `train`, `validation`, `test`; subject-disjoint.
      simulated: whether the recordings come from a simulator; results must then say so.
    """

    version: str
    splits: dict[str, ClipSource]
    simulated: bool


def source_clips(
    name: str, data_dir: str | Path, manual_dir: str | Path | None = None
) -> Mapping[str, Iterable[Clip | UserError]]:
    """The clips of each split, from the source's own files where that is possible without building.

    Args as `open_dataset`, through which datasets without such files are read.
    """
    builder, config = _builder(name)
    if manual_dir and hasattr(builder, "source"):
        return builder.source(Path(manual_dir).expanduser(), config)
    return open_dataset(name, data_dir, manual_dir).splits


def _builder(name: str) -> tuple[Any, str]:
    """Class and config of `builder/config`."""
    builder_name, _, config = name.partition("/")
    if builder_name not in DATASETS:
        raise UserError(f"config.data.name: unknown dataset {name!r}; known: {', '.join(DATASETS)}")
    module = importlib.import_module(f"video2emg.data.datasets.{builder_name}")
    known = [c.name for c in module.Builder.BUILDER_CONFIGS]
    if config not in known:
        raise UserError(f"config.data.name: {name!r}: choose {builder_name}/ one of {known}")
    return module.Builder, config


def open_dataset(name: str, data_dir: str | Path, manual_dir: str | Path | None = None) -> Dataset:
    """Opens `builder/config`, building it first if it is not there.

    Args:
      name: e.g. `gymsim/default`, `recordings/default`.
      data_dir: where built datasets live.
      manual_dir: the source's own files, for datasets that are made of some.

    Raises:
      UserError: unknown name, damaged files, no room to build, or a source that has changed.
    """
    data_dir = Path(data_dir).expanduser()
    builder_class, config = _builder(name)
    builder = builder_class(config=config, data_dir=data_dir, file_format="array_record")
    folder = Path(builder.data_dir)
    source = Path(manual_dir).expanduser() if manual_dir else None
    if not folder.exists():
        if source is None and builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
            raise UserError(f"config.data.manual_dir: {name!r} is made of your own files; say "
                            f"where they are. {builder.MANUAL_DOWNLOAD_INSTRUCTIONS}")  # fmt: skip
        _build(builder, folder, source)
    _verify(folder)
    _same_source(builder_class, folder, source)
    # Reopened from what was written: the features on disk are those that count.
    builder = tfds.builder_from_directory(folder)
    splits = {
        split: ClipSource(builder.as_data_source(split=split), str(folder))  # pyright: ignore[reportCallIssue]
        for split in ("train", "validation", "test")
    }
    return Dataset(
        version=str(builder.version),
        splits=splits,
        simulated=bool(splits["train"][0].provenance.get("simulated", False)),
    )


def _build(builder, folder: Path, source: Path | None) -> None:
    tfds.disable_progress_bar()  # the builders show their own, with clips and time left
    _sweep_abandoned(folder.parent)
    try:
        # Writes to a temporary folder, renamed when complete.
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=source) if source else None
        )
        if hasattr(builder, "fingerprint"):
            write_json(folder / _SOURCE, builder.fingerprint(source))
        _write_sizes(folder)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UserError(f"{folder}: disk full while building; free some room, or another "
                            "place with --config.data.dir=…") from error  # fmt: skip
        raise


def _same_source(builder: type, folder: Path, source: Path | None) -> None:
    """Refuses a dataset that was built of other files than those that lie there now."""
    if source is None or not hasattr(builder, "fingerprint"):
        return
    if json.loads((folder / _SOURCE).read_text()) != builder.fingerprint(source):  # pyright: ignore
        raise UserError(f"{folder}: built before {source} changed; delete the folder to rebuild")


def _sweep_abandoned(parent: Path, older_than_s: float = 3600.0) -> None:
    """Removes what interrupted builds left behind; a build under way is younger than that."""
    for path in parent.glob("*incomplete*"):
        if time.time() - path.stat().st_mtime > older_than_s:
            shutil.rmtree(path, ignore_errors=True)


def _data_files(folder: Path) -> dict[str, int]:
    return {
        f.name: f.stat().st_size for f in sorted(folder.iterdir()) if not f.name.startswith(_SIZES)
    }


def _write_sizes(folder: Path) -> None:
    write_json(folder / _SIZES, _data_files(folder))


def _verify(folder: Path) -> None:
    """Compares the files with their sizes at build time: cheap, and catches truncated copies."""
    try:
        wanted = json.loads((folder / _SIZES).read_text())
    except (OSError, ValueError):
        raise UserError(f"{folder}: not completely built ({_SIZES} is missing or damaged); "
                        "delete the folder and start again") from None  # fmt: skip
    found = _data_files(folder)
    for name, size in wanted.items():
        if found.get(name) != size:
            raise UserError(
                f"{folder / name}: damaged: {found.get(name, 'no file')} instead of {size} bytes; "
                "delete the folder and start again"
            )
