"""Datasets on disk: built when missing, checked when opened, with random access to clips."""

import dataclasses
import functools
import importlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from video2emg.core import remote
from video2emg.core.clip import Clip, Clips
from video2emg.core.errors import UserError
from video2emg.core.files import folder as local_folder
from video2emg.data import build
from video2emg.data.datasets import schema
from video2emg.data.datasets.splits import SPLITS

DATASETS = ("gymsim", "flex", "mia", "recordings")


class ClipSource:
    """Random access to the clips of one split."""

    def __init__(self, source, where: str):
        """Wraps a TFDS data source; `where` is its name in errors."""
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


class ClipsById:
    """Access to the clips of a split by their id; the first call reads the whole split."""

    def __init__(self, source: Clips):
        """Wraps a split."""
        self._source = source

    @functools.cached_property
    def _index(self) -> dict[str, int]:
        return {self._source[i].clip_id: i for i in range(len(self._source))}

    def __call__(self, clip_id: str) -> Clip:
        """The clip.

        Raises:
          UserError: no clip has this id.
        """
        if clip_id not in self._index:
            raise UserError(f"clip {clip_id!r} is not in the split")
        return self._source[self._index[clip_id]]


@dataclasses.dataclass(frozen=True)
class Dataset:
    """An opened dataset.

    Attributes:
      version: of the builder.
      splits: `train`, `validation` and `test`.
      simulated: whether the recordings come from a simulator, which results must mention.
      fingerprint: of name, version and files; equal datasets have equal ones.
    """

    version: str
    splits: dict[str, ClipSource]
    simulated: bool
    fingerprint: str


def source_clips(
    name: str, data_dir: str | Path, manual_dir: str | Path | None = None
) -> Mapping[str, Iterable[Clip | UserError]]:
    """The clips of each split, if possible from the original files without building the dataset.

    See `open_dataset` for the arguments; it reads datasets that are not made of original files.
    """
    builder, config = _builder(name)
    if manual_dir and builder.MANUAL_DOWNLOAD_INSTRUCTIONS and hasattr(builder, "source"):
        return builder.source(Path(manual_dir).expanduser(), config)
    return open_dataset(name, data_dir, manual_dir).splits


def same_people(name: str) -> bool:
    """Whether a dataset tests on people of the training, as its protocol says."""
    builder, config = _builder(name)
    return getattr(builder.builder_configs[config], "same_people", False)


def _builder(name: str) -> tuple[Any, str]:
    """Builder class and configuration of a dataset `builder/config`."""
    builder_name, _, config = name.partition("/")
    if builder_name not in DATASETS:
        raise UserError(f"config.data.name: unknown dataset {name!r}; known: {', '.join(DATASETS)}")
    module = importlib.import_module(f"video2emg.data.datasets.{builder_name}")
    known = [c.name for c in module.Builder.BUILDER_CONFIGS]
    if config not in known:
        raise UserError(f"config.data.name: {name!r}: choose {builder_name}/ one of {known}")
    return module.Builder, config


def open_dataset(
    name: str,
    data_dir: str | Path,
    manual_dir: str | Path | None = None,
    beam: str = "",
    *,
    build_missing: bool = True,
    estimate_pose: str = "",
    needed: Sequence[str] = tuple(SPLITS),
) -> Dataset:
    """Opens the dataset `builder/config`, and builds it first if it does not exist.

    Args:
      name: e.g. `gymsim/default`, `recordings/default`.
      data_dir: the folder of all datasets; or gs://…, for datasets that are built already.
      manual_dir: folder of the original files, for datasets that are made of some.
      beam: options of the Apache Beam pipeline that builds it; if empty, processes of this machine
        build it.
      build_missing: false for a command that only reads; a missing dataset is then an error.
      estimate_pose: net that estimates the poses of films that have none, while the dataset is
        built; if empty, none.
      needed: splits that must have clips. With few people all clips are in `test`.

    Raises:
      UserError: unknown name, no such dataset, damaged files, no room to build, original files that
        changed, or no clip in a split that is needed.
    """
    builder_class, config = _builder(name)
    if estimate_pose and not builder_class.estimates_poses:
        raise UserError(
            f"{name}: its poses are not estimated from films; leave --estimate_pose out"
        )
    if remote.is_remote(data_dir):
        dataset = _open(_fetch(name, str(data_dir), builder_class, config))
        _check_splits(name, dataset.splits, needed)
        return dataset
    data_dir = local_folder(data_dir, "config.data.dir")
    folder = Path(builder_class(config=config, data_dir=data_dir).data_dir)
    source = Path(manual_dir).expanduser() if manual_dir else None
    if not folder.exists() and not build_missing:
        raise UserError(
            f"config.data.dir={data_dir}: {name!r} is not there ({folder} is missing); name the "
            f"folder that holds it, or build it: python launch.py prepare-data --dataset {name} "
            f"--data_dir {data_dir}"
        )
    if not folder.exists():
        instructions = builder_class.MANUAL_DOWNLOAD_INSTRUCTIONS
        if source is None and instructions:
            raise UserError(
                f"config.data.manual_dir: {name!r} is made of your own files; say where they are. "
                f"{instructions}"
            )
        if source is not None and instructions and not source.is_dir():
            raise UserError(f"config.data.manual_dir: {source} is no folder. {instructions}")
        if instructions:
            _check_splits(name, builder_class.plan(source, config), needed)
        folder = build.build(builder_class, config, data_dir, source, beam, estimate_pose)
    dataset = _open(folder)
    _check_splits(name, dataset.splits, needed)
    _check_source(builder_class, folder, source)
    return dataset


def _check_splits(name: str, splits: Mapping[str, Sequence[Any] | Clips], needed: Sequence[str]):
    """Refuses splits without clips."""
    empty = [split for split in needed if not len(splits[split])]
    if empty:
        raise UserError(
            f"{name}: no clip in {' and '.join(empty)}. Training needs clips in every split: add "
            "clips, or people (three to hold some of them out), or change the column split; "
            "recordings/within_subject holds out clips of the same people"
        )


def _fetch(name: str, address: str, builder: type, config: str) -> Path:
    """The local copy of a dataset in a bucket."""
    path = Path(builder(config=config, data_dir="/").data_dir).relative_to("/").as_posix()
    try:
        return remote.fetch(f"{address.rstrip('/')}/{path}", build.SIZES)
    except UserError as error:
        raise UserError(
            f"config.data.dir={address}: {error}; datasets are built in a folder and "
            f"then uploaded: python launch.py prepare-data --dataset {name} --data_dir "
            f"data; gcloud storage rsync -r data {address}"
        ) from None


def _open(folder: Path) -> Dataset:
    """Opens a built dataset."""
    _check_sizes(folder)
    # The features are those on disk, not those of today's builder.
    builder = tfds.builder_from_directory(folder)
    splits = {
        split: ClipSource(
            builder.as_data_source(split=split) if builder.info.splits[split].num_examples else [],  # pyright: ignore
            str(folder),
        )
        for split in SPLITS
    }
    some = next(clips for clips in splits.values() if len(clips))
    return Dataset(
        version=str(builder.version),
        splits=splits,
        simulated=bool(some[0].provenance.get("simulated", False)),
        fingerprint=f"{folder.parent.parent.name}/{folder.parent.name} {builder.version}, "
        f"{zlib.crc32((folder / build.SIZES).read_bytes()):08x}",
    )


def _check_source(builder: type, folder: Path, source: Path | None) -> None:
    """Refuses a dataset if its original files have changed since it was built."""
    if source is None or not hasattr(builder, "fingerprint"):
        return
    if json.loads((folder / build.SOURCE).read_text()) != builder.fingerprint(source):  # pyright: ignore
        raise UserError(f"{folder}: built before {source} changed; delete the folder to rebuild")


def _check_sizes(folder: Path) -> None:
    """Compares the sizes of the files with those at build time, to find truncated copies."""
    try:
        expected = json.loads((folder / build.SIZES).read_text())
    except (OSError, ValueError):
        raise UserError(
            f"{folder}: not completely built ({build.SIZES} is missing or damaged); "
            "delete the folder and start again"
        ) from None
    actual = build.data_files(folder)
    for name, size in expected.items():
        if actual.get(name) != size:
            raise UserError(
                f"{folder / name}: damaged: {actual.get(name, 'no file')} instead of {size} bytes; "
                "delete the folder and start again"
            )
