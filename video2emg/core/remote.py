"""Runs and datasets in buckets; the only file that handles addresses such as gs://….

An object store has no folders and cannot rename. A run therefore works in a local folder, its
mirror, whose files a thread copies to the bucket. A manifest, written last and in one step, lists
the files that belong together. Datasets are fetched once. Jobs need not know whether their folder
is a mirror, and training steps never wait for the copies.
"""

import contextlib
import json
import os
import re
import shutil
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tqdm

from video2emg.core.errors import UserError
from video2emg.core.files import checksum, folder, new_folder

_MANIFEST = ".manifest.json"
_EVERY_S = 30.0  # between two copies of a run


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether a path is an address in a bucket: gs://bucket/…."""
    return str(path).startswith("gs://")


@contextlib.contextmanager
def workdir(path: str | os.PathLike[str], every_s: float = _EVERY_S) -> Iterator[Path]:
    """The local folder to work in for `--workdir`.

    A local path is used as it is. For an address, the mirror first gets the files of the bucket;
    its changes are then copied to the bucket every `every_s` seconds, and at the end, also after an
    error. A copy that fails is reported and tried again; only the last one must succeed.

    Raises:
      UserError: the bucket cannot be read or written, or `path` is another kind of address.
    """
    if not is_remote(path):
        yield folder(path, "--workdir")
        return
    mirror = _Mirror(str(path))
    mirror.pull()
    ended = threading.Event()

    def copy() -> None:
        while not ended.wait(every_s):
            try:
                mirror.push()
            except UserError as error:
                print(f"{error}; tried again in {every_s:g} s", file=sys.stderr, flush=True)

    copier = threading.Thread(target=copy, daemon=True)
    copier.start()
    try:
        yield mirror.folder
    finally:
        ended.set()
        copier.join()
        mirror.push()
        print(f"all of this run is in {path}", file=sys.stderr, flush=True)


def fetch(address: str, seal: str) -> Path:
    """A local copy of a folder in a bucket, whose content never changes; fetched once and checked.

    Args:
      address: of the folder.
      seal: name of its file that holds the sizes of all others as JSON; the cache is indexed by its
        checksum, so that other content is fetched again.

    Raises:
      UserError: there is no such folder, it cannot be read, or a file has another size.
    """
    store = _store(address)
    root = _key(address)
    with _one_line_errors(address):
        if not store.exists(f"{root}/{seal}"):
            raise UserError(f"{address}: nothing complete here ({seal} is missing)")
        text = store.cat_file(f"{root}/{seal}")
        sizes = json.loads(text)
    local = _cache() / "fetched" / f"{zlib.crc32(text):08x}" / root
    if local.exists():
        return local
    with new_folder(local) as temporary, _one_line_errors(address):
        bar = tqdm.tqdm(
            total=sum(sizes.values()), desc=f"fetching {address}", unit="B", unit_scale=True
        )
        with bar:
            for name, size in sizes.items():
                if Path(name).name != name or name.startswith("."):
                    raise UserError(f"{address}/{seal}: {name!r} is not the name of a file")
                store.get_file(f"{root}/{name}", str(temporary / name))
                fetched = (temporary / name).stat().st_size
                if fetched != size:
                    raise UserError(
                        f"{address}/{name}: damaged: {fetched} instead of {size} bytes; "
                        "upload the folder again"
                    )
                bar.update(size)
        (temporary / seal).write_bytes(text)
    return local


class _Mirror:
    """A local folder and its copy in a bucket."""

    def __init__(self, address: str):
        """Copies nothing yet."""
        self._address, self._root = address, _key(address)
        self._store = _store(address)
        self._pushed: dict[str, list[int]] = {}
        self._copied: dict[str, tuple[tuple[int, int], list[int]]] = {}
        self.folder = _cache() / "runs" / self._root

    def pull(self) -> None:
        """Gives the folder the files of the manifest; files that are already the same stay.

        If the bucket's content was last pushed from this folder, the folder stays as it is, as it
        may be newer than the bucket.
        """
        last_pushed = self.folder / _MANIFEST
        with _one_line_errors(self._address):
            manifest = f"{self._root}/{_MANIFEST}"
            if not self._store.exists(manifest):
                if self._store.exists(self._root) and self._store.ls(self._root):
                    raise UserError(
                        f"{self._address} is not empty and holds no run; choose another --workdir"
                    )
                if last_pushed.exists():  # the run was in the bucket and has been deleted there
                    shutil.rmtree(self.folder)
                return
            text = self._store.cat_file(manifest)
            self._pushed = json.loads(text)
            if last_pushed.exists() and last_pushed.read_bytes() == text:
                return
            last_pushed.unlink(missing_ok=True)
            local = set(self._files())
            for name in local - set(self._pushed):
                (self.folder / name).unlink()
            # A file that is missing in the bucket is an error only for code that needs it.
            stored = {key.removeprefix(f"{self._root}/") for key in self._store.find(self._root)}
            needed = [
                name
                for name, sums in self._pushed.items()
                if name in stored and not (name in local and checksum(self.folder / name) == sums)
            ]
            for name in tqdm.tqdm(needed, desc=f"fetching {self._address}", unit="file"):
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                self._store.get_file(f"{self._root}/{name}", str(self.folder / name))
            for empty in sorted(self.folder.rglob("*"), reverse=True):
                if empty.is_dir() and not any(empty.iterdir()):
                    empty.rmdir()
            last_pushed.parent.mkdir(parents=True, exist_ok=True)
            last_pushed.write_bytes(text)

    def push(self) -> None:
        """Copies new files to the bucket, then writes the manifest, then deletes old files there.

        If the process is killed in between, the files of the last manifest are still there, except
        that files which grow or are overwritten (metrics) may be newer; resuming cuts those to the
        checkpoint.
        """
        with _one_line_errors(self._address):
            while not self._push():
                pass

    def _push(self) -> bool:
        """Returns false if files came or went meanwhile: the copies may not fit together."""
        names = self._files()
        try:
            manifest = {name: self._copy(name) for name in names}
        except FileNotFoundError:
            if all((self.folder / name).exists() for name in names):
                raise  # the local files exist, so the bucket is missing
            return False
        if names != self._files():
            return False
        if manifest != self._pushed:
            text = json.dumps(manifest).encode()
            self._store.pipe_file(f"{self._root}/{_MANIFEST}", text)
            (self.folder / _MANIFEST).write_bytes(text)
        for name in set(self._pushed) - set(manifest):
            with contextlib.suppress(FileNotFoundError):
                self._store.rm_file(f"{self._root}/{name}")
        self._pushed = manifest
        return True

    def _copy(self, name: str) -> list[int]:
        """Copies a file unless the bucket has it already; returns its size and checksum."""
        path = self.folder / name
        while True:
            stamp, (copied, sums) = _stamp(path), self._copied.get(name, (None, []))
            if stamp == copied:
                return sums
            sums = checksum(path)
            if self._pushed.get(name) != sums:
                self._store.put_file(str(path), f"{self._root}/{name}")
            if stamp == _stamp(path):  # it did not change meanwhile
                self._copied[name] = stamp, sums

    def _files(self) -> list[str]:
        """Names of all files except those that are being written."""
        names = []
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder)
            if any(part[0] == "." or "orbax-checkpoint-tmp" in part for part in name.parts):
                continue
            if path.is_file():
                names.append(name.as_posix())
        return names


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of the last change."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "video2emg" / "buckets"


def _key(address: str) -> str:
    """`bucket/name` of an address; no part may lead to another place in the cache."""
    parts = [part for part in address.split("://", 1)[1].split("/") if part]
    if len(parts) < 2 or any(part.startswith(".") for part in parts):
        raise UserError(f"{address}: expected gs://bucket/name")
    return "/".join(parts)


def _store(address: str) -> Any:
    """The file system of an address (fsspec)."""
    import fsspec

    try:
        with _one_line_errors(address):
            return fsspec.filesystem("gs", use_listings_cache=False)
    except ImportError:
        raise UserError(f'{address}: buckets need a package: pip install ".[gcs]"') from None


@contextlib.contextmanager
def _one_line_errors(address: str) -> Iterator[None]:
    """Turns any error of the client or the network into a `UserError` of one line."""
    try:
        yield
    except (UserError, ImportError):
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        reason = re.sub(r"\s+", " ", lines[0])
        raise UserError(f"{address}: {type(error).__name__}: {reason}") from error
