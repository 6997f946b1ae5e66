"""The muscles of an anatomy as MuJoCo spatial tendons: 43 per side in `simulated`.

Their moment arms are in published ranges (see `docs/gymsim.md` and the tests).
"""

import dataclasses

import numpy as np

from video2emg.physics.anatomy import Anatomy, Muscle, Point, Surface

SIDES = {"right": -1, "left": 1}
_PAIRED = {"clavicle", "scapula", "upper_arm", "forearm", "thigh", "shank", "foot"}


@dataclasses.dataclass(frozen=True)
class Paths:
    """MJCF snippets of all muscles.

    Attributes:
      names: `biceps_long_right`, …, in the order of the tendons.
      force: [n] maximal isometric force of a 1.75 m cadaver, N.
      attached: MJCF of sites and wrapping surfaces, by body.
      tendons: content of `<tendon>`.
    """

    names: tuple[str, ...]
    force: np.ndarray
    attached: dict[str, str]
    tendons: str


def paths(anatomy: Anatomy, scale: float, shoulder_width: float = 1.0) -> Paths:
    """Writes the muscles of a body.

    Args:
      anatomy: its table.
      scale: height / 1.75 m.
      shoulder_width: factor on the lateral coordinates of the clavicle.
    """
    writer = _Writer(scale, shoulder_width)
    for side in SIDES:
        for name, surface in anatomy.surfaces.items():
            writer.surface(side, name, surface)
        for name, muscle in anatomy.muscles.items():
            writer.muscle(side, name, muscle)
    return Paths(
        tuple(writer.names), np.array(writer.force), writer.attached, "".join(writer.tendons)
    )


class _Writer:
    """Collects the MJCF of muscles."""

    def __init__(self, scale: float, shoulder_width: float):
        self._scale, self._shoulder_width = scale, shoulder_width
        self.attached: dict[str, str] = {}
        self.tendons: list[str] = []
        self.names: list[str] = []
        self.force: list[float] = []

    def _attach(self, side: str, segment: str, xml: str) -> None:
        body = f"{segment}_{side}" if segment in _PAIRED else segment
        self.attached[body] = self.attached.get(body, "") + xml

    def _place(self, side: str, segment: str, point: Point) -> str:
        x, y, z = (self._scale * p for p in point)
        if segment == "clavicle":
            y *= self._shoulder_width
        return f"{x:.6f} {SIDES[side] * y:.6f} {z:.6f}"

    def surface(self, side: str, name: str, surface: Surface) -> None:
        """Adds a wrapping surface."""
        size, turn = f"{surface.radius * self._scale:.6f}", ""
        if surface.shape == "cylinder":
            size, turn = f"{size} 0.06", 'euler="1.5707963 0 0"'
        self._attach(
            side,
            surface.segment,
            f'<geom name="{name}_{side}" type="{surface.shape}" size="{size}" mass="0" group="4" '
            f'pos="{self._place(side, surface.segment, surface.centre)}" {turn}/>',
        )

    def muscle(self, side: str, name: str, muscle: Muscle) -> None:
        """Adds a muscle: its sites and its tendon."""
        elements = []
        for i, waypoint in enumerate(muscle.path):
            site, place = f"{name}_{side}_{i}", self._place(side, waypoint.segment, waypoint.at)
            self._attach(side, waypoint.segment, f'<site name="{site}" pos="{place}" group="4"/>')
            if waypoint.around is not None:
                elements.append(f'<geom geom="{waypoint.around}_{side}" sidesite="{site}"/>')
            else:
                elements.append(f'<site site="{site}"/>')
        self.names.append(f"{name}_{side}")
        self.force.append(muscle.force)
        self.tendons.append(f'<spatial name="{name}_{side}">{"".join(elements)}</spatial>')
