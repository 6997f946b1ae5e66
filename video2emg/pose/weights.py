"""The weights of BlazePose: where they come from, and where they lie on this machine.

They are never downloaded while a film is read. `fetch` does it when the user asks.
"""

import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from video2emg.core.errors import UserError
from video2emg.core.files import write_atomically

VARIABLE = "VIDEO2EMG_POSE_WEIGHTS"  # environment variable with a folder of weights
LICENCE = "Apache-2.0, as the packages say (https://github.com/google-ai-edge/mediapipe)"
NETS = ("lite", "full", "heavy")
DETECTOR = "pose_detection.tflite"

_TIMEOUT_S = 600
_CHUNK = 2**20


@dataclasses.dataclass(frozen=True)
class Weights:
    """One file of weights.

    Attributes:
      name: of the file.
      sha256: of its content.
      source: key of `_SOURCES`.
      member: its path within the package.
    """

    name: str
    sha256: str
    source: str
    member: str


_PIP, _NPM = "PyPI mediapipe 0.10.14", "npm @mediapipe/pose 0.5.1675469404"
FILES = {
    "detector": Weights(
        DETECTOR,
        "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
        _PIP,
        f"mediapipe/modules/pose_detection/{DETECTOR}",
    ),
    "full": Weights(
        "pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
        _PIP,
        "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
    ),
    "lite": Weights(
        "pose_landmark_lite.tflite",
        "f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61",
        _NPM,
        "package/pose_landmark_lite.tflite",
    ),
    "heavy": Weights(
        "pose_landmark_heavy.tflite",
        "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
        _NPM,
        "package/pose_landmark_heavy.tflite",
    ),
}


def user_folder() -> Path:
    """Where `fetch` puts the weights: the user's data folder."""
    base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return Path(base) / "video2emg" / "pose"


def find(net: str, folder: str = "") -> tuple[Path, Path]:
    """The files of the detector and of a landmark net, checked.

    Args:
      net: one of `NETS`.
      folder: of the user; else that of the environment variable, else `user_folder()`.

    Raises:
      UserError: unknown net, no such file, or one with another content.
    """
    if net not in NETS:
        raise UserError(f"net {net!r} is not one of {', '.join(NETS)}")
    given = folder or os.environ.get(VARIABLE, "")
    place = Path(given).expanduser() if given else user_folder()
    return _checked(place, FILES["detector"], net), _checked(place, FILES[net], net)


def _checked(folder: Path, weights: Weights, net: str) -> Path:
    path = folder / weights.name
    if not path.is_file():
        extra = "" if net == "full" else f" --nets {net}"
        raise UserError(
            f"{path}: no such file; `python launch.py fetch-pose{extra}` downloads the weights of "
            f"the pose estimator once, or name a folder with them (--pose_weights or {VARIABLE})"
        )
    if _sha256(path) != weights.sha256:
        raise UserError(
            f"{path}: not the file that was tested (sha256 differs from {weights.sha256[:16]}…); "
            "delete it and run `python launch.py fetch-pose`"
        )
    return path


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def fetch(nets: Sequence[str], folder: Path, say: Callable[[str], None]) -> None:
    """Downloads what is missing with the package managers, and checks it.

    Args:
      nets: of `NETS`; the detector always comes with them.
      folder: to put the files into.
      say: is told what happens.

    Raises:
      UserError: unknown net, no package manager or network, or a file with another content.
    """
    unknown = sorted(set(nets) - set(NETS))
    if unknown:
        raise UserError(f"net {unknown[0]!r} is not one of {', '.join(NETS)}")
    wanted = [FILES[name] for name in ("detector", *dict.fromkeys(nets))]
    missing = [w for w in wanted if not _is_there(folder / w.name, w)]
    for weights in wanted:
        if weights not in missing:
            say(f"{folder / weights.name}: already there")
    for source in dict.fromkeys(weights.source for weights in missing):
        files = [weights for weights in missing if weights.source == source]
        say(f"downloading {source} ({LICENCE})")
        with tempfile.TemporaryDirectory(prefix="video2emg_") as temporary:
            package = _SOURCES[source](Path(temporary))
            for weights in files:
                _unpack(package, weights, folder)
                say(f"{folder / weights.name}: sha256 {weights.sha256} as expected")


def _is_there(path: Path, weights: Weights) -> bool:
    return path.is_file() and _sha256(path) == weights.sha256


def _pip(folder: Path) -> Path:
    """Downloads the wheel without installing it; any of its platforms has the same weights."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "--python-version", "3.12"]
    command += ["--implementation", "cp", "--abi", "cp312", "--platform", "manylinux2014_x86_64"]
    return _download([*command, "--dest", str(folder), "mediapipe==0.10.14"], folder, "*.whl")


def _npm(folder: Path) -> Path:
    """Downloads the package without installing it or running its scripts."""
    if not shutil.which("npm"):
        raise UserError(
            "the nets lite and heavy come from npm's package @mediapipe/pose, and there is no npm "
            "here; install it (https://nodejs.org), use --nets full, or copy the files from "
            "another machine"
        )
    command = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(folder)]
    return _download([*command, "@mediapipe/pose@0.5.1675469404"], folder, "*.tgz")


_SOURCES = {_PIP: _pip, _NPM: _npm}


def _download(command: list[str], folder: Path, pattern: str) -> Path:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, cwd=folder
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{command[0]} failed: {error}") from None
    found = sorted(folder.glob(pattern))
    if done.returncode or not found:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["nothing was downloaded"]
        raise UserError(f"the download failed; is there a network? ({lines[-1].strip()[:200]})")
    return found[0]


def _unpack(package: Path, weights: Weights, folder: Path) -> None:
    try:
        if package.suffix == ".whl":
            with zipfile.ZipFile(package) as archive:
                content = archive.read(weights.member)
        else:
            with tarfile.open(package) as archive:
                file = archive.extractfile(weights.member)
                content = file.read() if file else b""
    except (KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise UserError(f"{package.name}: no {weights.member} in it ({error})") from None
    if hashlib.sha256(content).hexdigest() != weights.sha256:
        raise UserError(
            f"{package.name}, {weights.member}: sha256 differs from {weights.sha256[:16]}…; "
            "nothing was kept"
        )
    write_atomically(folder / weights.name, lambda file: file.write(content))
