"""Muscle paths: 43 per side, as MuJoCo spatial tendons.

Points are (forward, lateral, up) in metres for a body of 1.75 m, in the frame of the named segment;
they scale with height. They approximate textbook anatomy, adjusted until the moment arms are in
published ranges (see `docs/gymsim.md` and the tests). Forces are maximal isometric forces in N.
They are of the order of Holzbaur et al. (2005) for the arm and between Delp et al. (1990) and
Rajagopal et al. (2016) for the leg; the heads of a muscle are merged.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

Point = tuple[float, float, float]
SIDES = {"right": -1, "left": 1}
_PAIRED = {"clavicle", "scapula", "upper_arm", "forearm", "thigh", "shank", "foot"}


@dataclasses.dataclass(frozen=True)
class Wrap:
    """A surface that a path wraps around, on the side of a point.

    Attributes:
      surface: key of `_SURFACES`.
      segment: whose frame the point is in.
      point: m.
    """

    surface: str
    segment: str
    point: Point


Waypoint = tuple[str, Point] | Wrap  # segment and point, or a wrapping surface


# Surfaces: segment, shape, centre m, radius m. Cylinders lie along the lateral axis.
_SURFACES = {
    "humeral_head": ("upper_arm", "sphere", (0, 0, 0), 0.030),
    "elbow": ("upper_arm", "cylinder", (0, 0, -0.3255), 0.017),
    "knee": ("thigh", "cylinder", (0, 0, -0.42875), 0.040),
}
_FRONT = Wrap("humeral_head", "upper_arm", (0.06, 0.02, 0.02))
_TOP = Wrap("humeral_head", "upper_arm", (0, 0.06, 0.02))
_BACK = Wrap("humeral_head", "upper_arm", (-0.06, 0.02, 0.02))
_OLECRANON = Wrap("elbow", "upper_arm", (-0.06, 0, -0.3255))
_PATELLA = Wrap("knee", "thigh", (0.09, 0, -0.42875))

# Name: force, N, and path from origin to insertion. The origin of the scapula's frame is the centre
# of the shoulder joint.
_MUSCLES: dict[str, tuple[float, *tuple[Waypoint, ...]]] = {
    "anterior_deltoid": (
        1100,
        ("scapula", (0.040, -0.008, 0.034)),
        _FRONT,
        ("upper_arm", (0.016, 0.010, -0.13)),
    ),
    "medial_deltoid": (
        1400,
        ("scapula", (-0.014, 0.012, 0.034)),
        _TOP,
        ("upper_arm", (0, 0.016, -0.135)),
    ),
    "posterior_deltoid": (
        520,
        ("scapula", (-0.060, -0.020, 0.022)),
        _BACK,
        ("upper_arm", (-0.009, 0.013, -0.125)),
    ),
    "supraspinatus": (
        500,
        ("scapula", (-0.04, -0.085, 0.03)),
        ("upper_arm", (0, 0.012, 0.030)),
        ("upper_arm", (0.004, 0.026, 0.012)),
    ),
    "infraspinatus": (
        1000,
        ("scapula", (-0.075, -0.10, -0.05)),
        ("upper_arm", (-0.024, 0.012, 0.004)),
        ("upper_arm", (-0.004, 0.028, 0.006)),
    ),
    "subscapularis": (1200, ("scapula", (-0.045, -0.11, -0.05)), ("upper_arm", (0.022, -0.014, 0))),
    "teres_major": (
        350,
        ("scapula", (-0.075, -0.07, -0.12)),
        ("upper_arm", (0.010, -0.010, -0.06)),
    ),
    "pectoralis_clavicular": (
        450,
        ("chest", (0.075, 0.055, 0.325)),
        ("upper_arm", (0.016, 0.006, -0.06)),
    ),
    "pectoralis_sternal": (
        900,
        ("chest", (0.125, 0.03, 0.21)),
        ("chest", (0.12, 0.11, 0.23)),
        ("upper_arm", (0.016, 0.006, -0.055)),
    ),
    "latissimus_dorsi": (
        800,
        ("chest", (-0.10, 0.05, 0.03)),
        ("chest", (-0.075, 0.15, 0.16)),
        ("upper_arm", (0.008, -0.012, -0.05)),
    ),
    "coracobrachialis": (
        240,
        ("scapula", (0.035, -0.02, -0.01)),
        ("upper_arm", (0.006, -0.006, -0.14)),
    ),
    "biceps_long": (
        520,
        ("scapula", (0, -0.004, 0.032)),
        ("upper_arm", (0.024, 0.004, -0.02)),
        ("upper_arm", (0.026, 0, -0.20)),
        ("forearm", (0.014, 0, -0.045)),
    ),
    "biceps_short": (
        430,
        ("scapula", (0.035, -0.022, -0.006)),
        ("upper_arm", (0.026, -0.004, -0.20)),
        ("forearm", (0.014, 0, -0.045)),
    ),
    "brachialis": (
        990,
        ("upper_arm", (0.012, 0, -0.17)),
        ("upper_arm", (0.018, 0, -0.28)),
        ("forearm", (0.008, -0.003, -0.030)),
    ),
    "brachioradialis": (
        270,
        ("upper_arm", (0.006, 0.022, -0.26)),
        ("forearm", (0.026, 0.022, -0.06)),
        ("forearm", (0.010, 0.022, -0.23)),
    ),
    "triceps_long": (
        770,
        ("scapula", (-0.02, -0.02, -0.036)),
        ("upper_arm", (-0.024, 0, -0.20)),
        _OLECRANON,
        ("forearm", (-0.020, 0, 0.010)),
    ),
    "triceps_short": (
        1400,
        ("upper_arm", (-0.018, 0.004, -0.10)),
        ("upper_arm", (-0.024, 0.002, -0.22)),
        _OLECRANON,
        ("forearm", (-0.020, 0, 0.010)),
    ),
    "upper_trapezius": (
        900,
        ("chest", (-0.035, 0.015, 0.42)),
        ("clavicle", (-0.012, 0.1565, 0.035)),
    ),
    "levator_scapulae": (600, ("chest", (-0.02, 0.02, 0.44)), ("clavicle", (-0.05, 0.11, 0.02))),
    "lower_trapezius": (700, ("chest", (-0.085, 0.01, 0.06)), ("clavicle", (-0.07, 0.1065, 0))),
    "gluteus_maximus": (
        3000,
        ("pelvis", (-0.085, 0.05, 0.075)),
        ("pelvis", (-0.080, 0.085, -0.020)),
        ("thigh", (-0.050, 0.035, -0.06)),
        ("thigh", (-0.02, 0.03, -0.14)),
    ),
    "gluteus_medius": (
        2000,
        ("pelvis", (-0.02, 0.10, 0.115)),
        ("thigh", (-0.012, 0.062, -0.005)),
        ("thigh", (-0.005, 0.058, -0.03)),
    ),
    "adductor_longus": (1000, ("pelvis", (0.025, 0.02, -0.035)), ("thigh", (0.004, 0.002, -0.18))),
    "adductor_magnus": (1500, ("pelvis", (-0.035, 0.045, -0.06)), ("thigh", (0, -0.005, -0.22))),
    "iliopsoas": (
        1500,
        ("pelvis", (0.01, 0.06, 0.09)),
        ("pelvis", (0.040, 0.080, 0.016)),
        ("thigh", (-0.006, -0.01, -0.06)),
    ),
    "piriformis": (
        700,
        ("pelvis", (-0.075, 0.03, 0.035)),
        ("thigh", (-0.028, 0.04, 0.008)),
        ("thigh", (0.004, 0.052, 0.012)),
    ),
    "rectus_femoris": (
        1400,
        ("pelvis", (0.045, 0.095, 0.035)),
        ("thigh", (0.056, 0, -0.25)),
        _PATELLA,
        ("shank", (0.045, 0, -0.055)),
    ),
    "vastus_lateralis": (
        3300,
        ("thigh", (0.03, 0.04, -0.16)),
        ("thigh", (0.050, 0.022, -0.33)),
        _PATELLA,
        ("shank", (0.045, 0.003, -0.055)),
    ),
    "vastus_medialis": (
        3000,
        ("thigh", (0.03, -0.02, -0.20)),
        ("thigh", (0.050, -0.018, -0.34)),
        _PATELLA,
        ("shank", (0.045, -0.003, -0.055)),
    ),
    "biceps_femoris_long": (
        1000,
        ("pelvis", (-0.055, 0.055, -0.055)),
        ("shank", (-0.028, 0.030, -0.036)),
    ),
    "semitendinosus": (
        2000,
        ("pelvis", (-0.055, 0.045, -0.058)),
        ("shank", (-0.027, -0.022, -0.040)),
    ),
    "biceps_femoris_short": (
        550,
        ("thigh", (-0.008, 0.012, -0.20)),
        ("shank", (-0.028, 0.032, -0.036)),
    ),
    "gastrocnemius": (2300, ("thigh", (-0.024, 0, -0.41)), ("foot", (-0.052, 0, -0.030))),
    "soleus": (4500, ("shank", (-0.02, 0, -0.08)), ("foot", (-0.052, 0, -0.030))),
    "tibialis_anterior": (
        1150,
        ("shank", (0.022, 0.012, -0.12)),
        ("shank", (0.034, -0.002, -0.385)),
        ("foot", (0.055, -0.012, -0.025)),
    ),
    "peroneus": (
        900,
        ("shank", (-0.005, 0.03, -0.15)),
        ("shank", (-0.012, 0.030, -0.415)),
        ("foot", (0.02, 0.034, -0.045)),
    ),
    "tibialis_posterior": (
        1300,
        ("shank", (-0.01, 0, -0.12)),
        ("shank", (-0.012, -0.024, -0.415)),
        ("foot", (0.03, -0.03, -0.035)),
    ),
    "erector_lumbar": (
        1900,
        ("pelvis", (-0.062, 0.03, 0.02)),
        ("abdomen", (-0.068, 0.035, 0.05)),
        ("chest", (-0.068, 0.04, 0.08)),
    ),
    "erector_thoracic": (
        1500,
        ("pelvis", (-0.070, 0.045, 0.03)),
        ("abdomen", (-0.078, 0.05, 0.05)),
        ("chest", (-0.080, 0.05, 0.20)),
    ),
    "rectus_abdominis": (
        900,
        ("pelvis", (0.085, 0.025, -0.02)),
        ("abdomen", (0.108, 0.035, 0.05)),
        ("chest", (0.105, 0.05, 0.09)),
    ),
    "external_oblique": (900, ("chest", (0.045, 0.14, 0.06)), ("pelvis", (0.085, 0.085, 0.055))),
    "internal_oblique": (800, ("chest", (0.075, 0.10, 0.055)), ("pelvis", (-0.01, 0.125, 0.065))),
    "quadratus_lumborum": (500, ("pelvis", (-0.04, 0.075, 0.06)), ("chest", (-0.04, 0.055, 0))),
}


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


def paths(scale: float, shoulder_width: float = 1.0) -> Paths:
    """Writes the muscles of a body.

    Args:
      scale: height / 1.75 m.
      shoulder_width: factor on the lateral coordinates of the clavicle.
    """
    writer = _Writer(scale, shoulder_width)
    for side in SIDES:
        for name, (segment, shape, centre, radius) in _SURFACES.items():
            writer.surface(side, name, segment, shape, centre, radius)
        for name, (force, *path) in _MUSCLES.items():
            writer.muscle(side, name, force, path)
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

    def surface(
        self, side: str, name: str, segment: str, shape: str, centre: Point, radius: float
    ) -> None:
        """Adds a wrapping surface."""
        size, turn = f"{radius * self._scale:.6f}", ""
        if shape == "cylinder":
            size, turn = f"{size} 0.06", 'euler="1.5707963 0 0"'
        self._attach(
            side,
            segment,
            f'<geom name="{name}_{side}" type="{shape}" size="{size}" mass="0" group="4" '
            f'pos="{self._place(side, segment, centre)}" {turn}/>',
        )

    def muscle(
        self,
        side: str,
        name: str,
        force: float,
        path: Sequence[Waypoint],
    ) -> None:
        """Adds a muscle: its sites and its tendon."""
        elements = []
        for i, waypoint in enumerate(path):
            is_wrap = isinstance(waypoint, Wrap)
            segment, point = (waypoint.segment, waypoint.point) if is_wrap else waypoint
            site = f"{name}_{side}_{i}"
            self._attach(
                side,
                segment,
                f'<site name="{site}" pos="{self._place(side, segment, point)}" group="4"/>',
            )
            if is_wrap:
                elements.append(f'<geom geom="{waypoint.surface}_{side}" sidesite="{site}"/>')
            else:
                elements.append(f'<site site="{site}"/>')
        self.names.append(f"{name}_{side}")
        self.force.append(float(force))
        self.tendons.append(f'<spatial name="{name}_{side}">{"".join(elements)}</spatial>')
