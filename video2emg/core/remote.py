"""Buckets; the only file that knows addresses such as gs://….

An object store renames nothing and has no folders. So a run works in a folder of this machine, its
mirror, and what is complete there is copied to the bucket while it goes on; a manifest, written
last and in one step, says which files belong together. Datasets are fetched once. No job knows of
it, nor does a step ever wait for it.
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
_EVERY_S = 30.0  # that a run is copied


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether a path is an address in a bucket that we can read and write: gs://bucket/…."""
    return str(path).startswith("gs://")


@contextlib.contextmanager
def workdir(path: str | os.PathLike[str], every_s: float = _EVERY_S) -> Iterator[Path]:
    """The folder to work in for `--workdir`.

    For a folder this is itself. For an address, the mirror is made what the bucket holds; what is
    new in it is pushed all the time, and at the end, also that of an error. A push that fails is
    told and tried again; only the last one must succeed.

    Raises:
      UserError: neither a folder nor in a bucket that can be read and written.
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
    """A folder of a bucket that never changes, fetched once, checked and kept in the cache.

    Args:
      address: of the folder.
      seal: name of its file that holds the sizes of all others as JSON; the cache is kept by its
        checksum, so another content is fetched anew.

    Raises:
      UserError: there is no such folder, it cannot be read, or a file is not as large as was noted.
    """
    store = _store(address)
    root = _key(address)
    with _told(address):
        if not store.exists(f"{root}/{seal}"):
            raise UserError(f"{address}: nothing complete here ({seal} is missing)")
        text = store.cat_file(f"{root}/{seal}")
        sizes = json.loads(text)
    local = _cache() / "fetched" / f"{zlib.crc32(text):08x}" / root
    if local.exists():
        return local
    with new_folder(local) as temporary, _told(address):
        bar = tqdm.tqdm(
            total=sum(sizes.values()), desc=f"fetching {address}", unit="B", unit_scale=True
        )
        with bar:
            for name, size in sizes.items():
                if Path(name).name != name or name.startswith("."):
                    raise UserError(f"{address}/{seal}: {name!r} is not the name of a file")
                store.get_file(f"{root}/{name}", str(temporary / name))
                found = (temporary / name).stat().st_size
                if found != size:
                    raise UserError(
                        f"{address}/{name}: damaged: {found} instead of {size} bytes; "
                        "upload the folder again"
                    )
                bar.update(size)
        (temporary / seal).write_bytes(text)
    return local


class _Mirror:
    """A folder of this machine and the same in a bucket."""

    def __init__(self, address: str):
        """Of `address`; nothing is copied yet."""
        self._address, self._root = address, _key(address)
        self._store = _store(address)
        self._pushed: dict[str, list[int]] = {}
        self._copied: dict[str, tuple[tuple[int, int], list[int]]] = {}
        self.folder = _cache() / "runs" / self._root

    def pull(self) -> None:
        """Makes the folder what the manifest says; files that are the same already stay.

        A folder that was last pushed as what is in the bucket stays: it may be ahead.
        """
        note = self.folder / _MANIFEST
        with _told(self._address):
            at = f"{self._root}/{_MANIFEST}"
            if not self._store.exists(at):
                if self._store.exists(self._root) and self._store.ls(self._root):
                    raise UserError(
                        f"{self._address} is not empty and holds no run; choose another --workdir"
                    )
                if note.exists():  # it was there and has been deleted
                    shutil.rmtree(self.folder)
                return
            text = self._store.cat_file(at)
            self._pushed = json.loads(text)
            if note.exists() and note.read_bytes() == text:
                return
            note.unlink(missing_ok=True)
            here = set(self._files())
            for name in here - set(self._pushed):
                (self.folder / name).unlink()
            # A file that is gone from the bucket is for those to miss who need it.
            there = {key.removeprefix(f"{self._root}/") for key in self._store.find(self._root)}
            wanted = [
                name
                for name, sums in self._pushed.items()
                if name in there and not (name in here and checksum(self.folder / name) == sums)
            ]
            for name in tqdm.tqdm(wanted, desc=f"fetching {self._address}", unit="file"):
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                self._store.get_file(f"{self._root}/{name}", str(self.folder / name))
            for empty in sorted(self.folder.rglob("*"), reverse=True):
                if empty.is_dir() and not any(empty.iterdir()):
                    empty.rmdir()
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_bytes(text)

    def push(self) -> None:
        """Copies what is new, then says so in the manifest, then deletes what is gone.

        A kill in between leaves the files of the manifest before, but those that grow or are
        written anew in their place (metrics), which whoever resumes cuts to the checkpoint.
        """
        with _told(self._address):
            while not self._push():
                pass

    def _push(self) -> bool:
        """False if files came or went meanwhile: what was copied may not belong together."""
        names = self._files()
        try:
            manifest = {name: self._copy(name) for name in names}
        except FileNotFoundError:
            if all((self.folder / name).exists() for name in names):
                raise  # so it is the bucket that is not there
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
        """Size and checksum of the file as it now is in the bucket."""
        path = self.folder / name
        while True:
            stamp, (seen, sums) = _stamp(path), self._copied.get(name, (None, []))
            if stamp == seen:
                return sums
            sums = checksum(path)
            if self._pushed.get(name) != sums:
                self._store.put_file(str(path), f"{self._root}/{name}")
            if stamp == _stamp(path):  # nobody wrote on it meanwhile
                self._copied[name] = stamp, sums

    def _files(self) -> list[str]:
        """Names of all files but those that are being written."""
        found = []
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder)
            if any(part[0] == "." or "orbax-checkpoint-tmp" in part for part in name.parts):
                continue
            if path.is_file():
                found.append(name.as_posix())
        return found


def _stamp(path: Path) -> tuple[int, int]:
    """Size, and time of the last change."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "video2emg" / "buckets"


def _key(address: str) -> str:
    """`bucket/name`, without what would lead elsewhere in the cache."""
    parts = [part for part in address.split("://", 1)[1].split("/") if part]
    if len(parts) < 2 or any(part.startswith(".") for part in parts):
        raise UserError(f"{address}: expected gs://bucket/name")
    return "/".join(parts)


def _store(address: str) -> Any:
    """The file system of an address (fsspec)."""
    import fsspec

    try:
        with _told(address):
            return fsspec.filesystem("gs", use_listings_cache=False)
    except ImportError:
        raise UserError(
            f'{address}: buckets need a package: pip install "video2emg[gcs]"'
        ) from None


@contextlib.contextmanager
def _told(address: str) -> Iterator[None]:
    """Makes one line of whatever the client, the network or the bucket's owner say."""
    try:
        yield
    except (UserError, ImportError):
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        reason = re.sub(r"\s+", " ", lines[0])
        raise UserError(f"{address}: {type(error).__name__}: {reason}") from error
