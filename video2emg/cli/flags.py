"""What the flags of several commands have in common.

Types say `tuple` and not what it holds, and `float` and not `float | None`: for these, tyro would
import a type checker, which takes longer than all of the rest.
"""

import dataclasses
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from video2emg.core.errors import UserError

if TYPE_CHECKING:
    from video2emg.data.film_pose import FilmOptions
    from video2emg.pose.body import BodyOptions


def _comma_separated(kind: type, metavar: str) -> tyro.constructors.PrimitiveConstructorSpec:
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda texts: tuple(kind(text) for text in texts[0].split(",") if text),
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda values: [",".join(map(str, values))],
    )


def _integers() -> tyro.constructors.PrimitiveConstructorSpec:
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs="*",
        metavar="N N …",
        instance_from_str=lambda texts: tuple(map(int, texts)),
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda values: [str(value) for value in values],
    )


# Strings, `--flag a,b`.
Words = Annotated[tuple, _comma_separated(str, "A,B,…")]
# Numbers, `--flag 2.5,10`.
Numbers = Annotated[tuple, _comma_separated(float, "X,Y,…")]
# Whole numbers, `--flag 1 2`. Tyro would check a default that is not empty by a type checker.
Integers = Annotated[tuple, _integers()]
# Strings, `--flag a --flag b`.
Repeated = tyro.conf.UseAppendAction[tuple]
# `--config.key=value`, which `main.parse` fills in.
Overrides = Annotated[tuple, tyro.conf.Fixed, tyro.conf.Suppress]


def compilation_cache() -> str:
    """The default of `--compilation_cache`."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(home, "video2emg")


def use_compilation_cache(folder: str) -> None:
    """Keeps compiled programs there; to be called before JAX compiles anything."""
    import jax

    if folder and not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", folder)


# Least, most and unit of the numbers of `FilmFlags`. In the picture of a camera that looks straight
# down, no direction is up.
_RANGES = {
    "pose_rate": (0.1, 1000.0, "Hz"),
    "height": (0.5, 2.5, "m"),
    "pitch": (-89.0, 89.0, "degrees"),
    "roll": (-89.0, 89.0, "degrees"),
    "facing": (-360.0, 360.0, "degrees"),
    "rate": (0.1, 1000.0, "Hz"),
}


@dataclasses.dataclass(frozen=True)
class FilmFlags:
    """How the pose of a person is estimated in a film.

    Attributes:
      net: of the pose estimator: lite, full or heavy.
      pose_weights: folder of its weights; else where fetch-pose put them.
      pose_rate: pictures per second that it looks at, at most.
      person: whom to follow, from the left, from 1; one number for all cameras or one per camera;
        0 or nothing for the one who exercises.
      height: of the person, m.
      pitch: by which the camera looks down, degrees; else estimated.
      roll: by which the vertical leans to the right of the picture, degrees; else estimated.
      facing: of the person, degrees: 0 to the camera, 90 to the right of the picture.
      calibration: of several cameras, Pose2Sim's .toml or Qualisys' .qca.txt.
      rate: of a folder of pictures, or of a pose without times, Hz.
    """

    net: str = "full"
    pose_weights: str = ""
    pose_rate: float = 15.0
    person: Integers = ()
    height: float = math.nan
    pitch: float = math.nan
    roll: float = math.nan
    facing: float = math.nan
    calibration: str = ""
    rate: float = math.nan

    def check(self) -> None:
        """Refuses numbers that cannot be meant, as a height in cm; NaN is what is not told.

        Raises:
          UserError: a number is infinite or out of its range.
        """
        for name, (least, most, unit) in _RANGES.items():
            value = getattr(self, name)
            told = not math.isnan(value) or name == "pose_rate"
            if told and not least <= value <= most:
                raise UserError(f"--{name} {value:g}: expected {least:g} to {most:g} {unit}")

    def check_unused(self, *names: str, flag: str) -> None:
        """Refuses what is told of pictures where there are none.

        Args:
          names: of flags that have no effect; all that are about pictures by default.
          flag: by which a pose is given.

        Raises:
          UserError: one of them is told.
        """
        plain = {field.name: field.default for field in dataclasses.fields(FilmFlags)}
        for name in names or ("net", "pose_weights", "pose_rate", "person", "calibration"):
            if getattr(self, name) != plain[name]:
                raise UserError(
                    f"--{name} has no effect with {flag}: another program looked at the pictures"
                )

    def body(self) -> "BodyOptions":
        """What is told of the body and the camera."""
        from video2emg.pose.body import BodyOptions

        return BodyOptions(self.height, self.pitch, self.roll, self.facing)

    def options(self) -> "FilmOptions":
        """How the film is read."""
        from video2emg.data.film_pose import FilmOptions

        return FilmOptions(
            net=self.net,
            weights=self.pose_weights,
            rate=self.pose_rate,
            person=self.person,
            body=self.body(),
            calibration=Path(self.calibration).expanduser() if self.calibration else None,
            folder_rate=self.rate,
        )


# The flags of a film as part of a command's.
Film = Annotated[FilmFlags, tyro.conf.OmitArgPrefixes]


def existing(paths: Sequence[str], flag: str) -> list[Path]:
    """The paths of a flag.

    Raises:
      UserError: one of them does not exist.
    """
    files = [Path(path).expanduser() for path in paths]
    for path in files:
        if not path.exists():
            raise UserError(f"{flag} {path}: no such file")
    return files


def tell(line: str) -> None:
    """Writes a line for the user, apart from the results."""
    print(line, file=sys.stderr)
