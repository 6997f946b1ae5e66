"""The lifter as an MJCF model: segments, joints, appearance, and equipment.

Lengths and masses of the segments are those of the subject's anatomy. x points forward, y to the
left, z up. Shoulders and hips are ball joints (Euler hinges lock at 90° of abduction). The shoulder
girdle has a clavicle that elevates and a scapula that rotates about the glenohumeral centre.
Without the scapula, the deltoid would have no moment arm overhead.
"""

import dataclasses

import mujoco
import numpy as np

from video2emg.sim import equipment as gear
from video2emg.sim import mjcf, muscles
from video2emg.sim.bench import Bench
from video2emg.sim.equipment import Equipment
from video2emg.sim.subject import Subject

GRIP = 0.75  # of the hand's length
SIDES = {"right": -1, "left": 1}


@dataclasses.dataclass(frozen=True)
class Lifter:
    """A compiled model, and what is needed to pose and read it.

    Attributes:
      model: MuJoCo model.
      length: segment lengths, m.
      muscles: names, in the order of the model's tendons.
      force: [n] maximal isometric forces, N.
    """

    model: mujoco.MjModel
    length: dict[str, float]
    muscles: tuple[str, ...]
    force: np.ndarray


def width_factor(subject: Subject) -> float:
    """Factor on shoulder width: shoulders of women are narrower at equal height."""
    return 0.92 if subject.female else 1.0


def build(
    subject: Subject, equipment: Equipment, load: float, bench: Bench | None = None
) -> Lifter:
    """Builds the lifter.

    Args:
      subject: who.
      equipment: what is lifted, and where it is held.
      load: kg; total with the bar for barbells, per hand for dumbbells.
      bench: the bench in the room, if any; it is fixed.
    """
    anatomy = subject.anatomy
    length = {name: value * subject.height for name, value in anatomy.lengths.items()}
    scale = subject.height / 1.75
    paths = muscles.paths(anatomy, scale, width_factor(subject))
    xml = _MjcfWriter(subject, length, equipment, load, paths, bench).xml()
    model = mujoco.MjModel.from_xml_string(xml)
    side = np.array(
        [1 + (0.5 if m.endswith("right") else -0.5) * subject.asymmetry for m in paths.names]
    )
    # Cross-sections grow with the square of size.
    force = paths.force * subject.strength * scale**2 * anatomy.young_adult * side
    return Lifter(model, length, paths.names, force)


def reference_subject(female: bool) -> Subject:
    """A person of 1.75 m, on whom the muscles' ranges of length are measured."""
    grey = (0.5, 0.5, 0.5)
    return Subject(
        id="reference",
        female=female,
        height=1.75,
        mass=75.0,
        strength=1.0,
        skill=1.0,
        girth=1.0,
        asymmetry=0.0,
        skin=grey,
        shirt=grey,
        shorts=grey,
        hair=grey,
        wall=grey,
        heading=0.0,
        seed=0,
    )


class _MjcfWriter:
    """Writes the XML, with one method per part of the body."""

    def __init__(self, subject: Subject, length, equipment: Equipment, load, paths, bench):
        self.subject, self.length, self.paths = subject, length, paths
        self.equipment: Equipment = equipment
        self.load, self.bench = load, bench
        self.scale = subject.height / 1.75
        self.wide = width_factor(subject)
        self.thick = subject.girth * self.scale
        self.anatomy = subject.anatomy
        self.mass = {name: value * subject.mass for name, value in self.anatomy.masses.items()}
        self.girdle_mass = self.anatomy.girdle_mass

    def _body(self, name: str, pos, *parts: str) -> str:
        return (
            f'<body name="{name}" pos="{mjcf.numbers(*pos)}">'
            f"{self.paths.attached.get(name, '')}{''.join(parts)}</body>"
        )

    def xml(self) -> str:
        """The whole model."""
        wall = mjcf.numbers(*self.subject.wall)
        walls = "".join(
            f'<geom type="box" pos="{pos}" size="{size}" rgba="{wall} 1"/>'
            for pos, size in (
                ("-3 0 1.5", ".05 4 1.5"),
                ("3.4 0 1.5", ".05 4 1.5"),
                ("0 3.2 1.5", "4 .05 1.5"),
                ("0 -3.2 1.5", "4 .05 1.5"),
            )
        )
        return f"""<mujoco>
          <compiler angle="radian" inertiafromgeom="auto"/>
          <option gravity="0 0 -9.81"><flag contact="disable"/></option>
          <default><geom contype="0" conaffinity="0"/></default>
          <worldbody>
            <geom type="plane" size="4 4 .1"/>{walls}
            <geom type="box" pos="-2.6 .9 .5" size=".25 .7 .5" rgba=".16 .16 .18 1"/>
            {self._pelvis()}{self.bench.xml() if self.bench else ""}
          </worldbody>
          <tendon>{self.paths.tendons}</tendon>
        </mujoco>"""

    def _pelvis(self) -> str:
        length, hip = self.length, self.length["hip"]
        return self._body(
            "pelvis",
            (0, 0, 0),
            '<freejoint name="root"/>',
            mjcf.inertial(self.mass["pelvis"], (0, 0, 0.02), 0.16, 0.12),
            mjcf.capsule(
                (0, -hip * 0.9, 0.03),
                (0, hip * 0.9, 0.03),
                0.098 * self.subject.girth,
                self.subject.shorts,
            ),
            self._bar_on("hips", (0.105 * self.subject.girth, 0, 0.03)),
            self._body(
                "abdomen",
                (0, 0, length["lumbar"]),
                '<joint name="lumbar_flexion" axis="0 1 0"/>',
                '<joint name="lumbar_bend" axis="1 0 0"/><joint name="lumbar_turn" axis="0 0 1"/>',
                mjcf.inertial(self.mass["abdomen"], (0, 0, 0.06), 0.2, 0.12),
                mjcf.ellipsoid(
                    (0, 0, 0.05),
                    (
                        0.105 * self.subject.girth,
                        0.145 * self.subject.girth * self.wide,
                        0.15 * self.scale,
                    ),
                    self.subject.shirt,
                ),
                self._chest(),
            ),
            *(self._leg(side) for side in SIDES),
        )

    def _chest(self) -> str:
        trunk, girth, shirt = self.length["trunk"], self.subject.girth, self.subject.shirt
        return self._body(
            "chest",
            (0, 0, self.length["abdomen"]),
            '<joint name="thoracic" axis="0 1 0"/>',
            mjcf.inertial(
                self.mass["chest"] - 2 * self.girdle_mass, (0, 0, trunk * 0.5), 0.26, 0.14
            ),
            mjcf.ellipsoid(
                (0.005, 0, trunk * 0.5),
                (0.118 * girth, 0.165 * girth * self.wide, trunk * 0.68),
                shirt,
            ),
            mjcf.capsule((0, -0.09, trunk - 0.05), (0, 0.09, trunk - 0.05), 0.085 * girth, shirt),
            mjcf.capsule(
                (0, 0, trunk - 0.02),
                (0.015, 0, trunk + self.length["neck"]),
                0.055 * self.thick,
                self.subject.skin,
            ),
            f'<site name="neck" pos="0 0 {trunk:.4f}"/>',
            self._bar_on("back", (-0.105 * girth, 0, trunk + 0.005)),
            self._head(),
            *(self._arm(side) for side in SIDES),
        )

    def _bar_on(self, place: str, pos) -> str:
        """The barbell, if it is on this part of the trunk."""
        if self.equipment != f"barbell_{place}":
            return ""
        both = gear.half_bar(self.load, (0, 1, 0)) + gear.half_bar(self.load, (0, -1, 0))
        return self._body("barbell", pos, both)

    def _head(self) -> str:
        head, scale, skin = self.length["head"], self.scale, self.subject.skin
        darker = tuple(0.9 * x for x in skin)
        return self._body(
            "head",
            (0.01, 0, self.length["trunk"] + self.length["neck"] * 0.7),
            '<joint name="neck" axis="0 1 0"/>',
            mjcf.inertial(self.mass["head"], (0, 0, head * 0.75), 0.22, 0.09),
            mjcf.ellipsoid(
                (0.012, 0, head * 0.72), (0.092 * scale, 0.076 * scale, 0.118 * scale), skin
            ),
            mjcf.ellipsoid(
                (-0.012, 0, head * 0.86),
                (0.092 * scale, 0.080 * scale, 0.105 * scale),
                self.subject.hair,
            ),
            mjcf.ellipsoid((0.10 * scale, 0, head * 0.62), (0.014, 0.012, 0.02), darker),
            f'<site name="head" pos="0 0 {head * 0.8:.4f}"/>',
        )

    def _arm(self, side: str) -> str:
        y, length, thick = SIDES[side], self.length, self.thick
        upper, fore, hand = length["upper_arm"], length["forearm"], length["hand"]
        skin, shirt = self.subject.skin, self.subject.shirt
        shoulder = length["shoulder"] * self.wide
        hand_body = self._body(
            f"hand_{side}",
            (0, 0, -fore),  # Pronation happens at the wrist, so that the ulna does not move.
            f'<joint name="pronation_{side}" axis="0 0 {y}"/>',
            f'<joint name="wrist_{side}" axis="0 -1 0"/>',
            mjcf.inertial(self.mass["hand"], (0, 0, -hand * 0.6), hand, 0.038),
            mjcf.ellipsoid((0, 0, -hand * 0.7), (0.038 * thick, 0.027 * thick, hand * 0.75), skin),
            f'<site name="fingers_{side}" pos="0 0 {-hand * 1.3:.4f}"/>',
            self._handheld(side),
        )
        forearm = self._body(
            f"forearm_{side}",
            (0, 0, -upper),
            f'<joint name="elbow_{side}" axis="0 -1 0"/>',
            mjcf.inertial(self.mass["forearm"], (0, 0, -0.457 * fore), fore, 0.038),
            mjcf.capsule((0, 0, 0), (0, 0, -fore * 0.55), 0.042 * thick, skin),
            mjcf.capsule((0, 0, -fore * 0.4), (0, 0, -fore), 0.030 * thick, skin),
            hand_body,
        )
        upper_arm = self._body(
            f"upper_arm_{side}",
            (0, 0, 0),
            f'<joint name="shoulder_{side}" type="ball"/>',
            mjcf.inertial(self.mass["upper_arm"], (0, 0, -0.577 * upper), upper, 0.047),
            mjcf.capsule((0, 0, 0), (0, 0, -upper * 0.45), 0.055 * thick, shirt),
            mjcf.capsule((0, 0, -upper * 0.4), (0, 0, -upper), 0.043 * thick, skin),
            mjcf.ellipsoid(
                (0.018 * self.subject.girth, 0, -upper * 0.55),
                (0.035 * thick, 0.038 * thick, upper * 0.3),
                skin,
            ),
            forearm,
        )
        scapula = self._body(
            f"scapula_{side}",
            (0, y * shoulder, 0),
            f'<joint name="scapula_{side}" type="ball"/>',
            f'<inertial mass="{self.girdle_mass / 2}" pos="0 0 0" diaginertia="5e-4 5e-4 5e-4"/>',
            upper_arm,
        )
        return self._body(
            f"clavicle_{side}",
            (0, y * self.anatomy.clavicle * self.scale, length["trunk"] - 0.03),
            f'<joint name="clavicle_{side}" axis="{y} 0 0"/>',
            f'<inertial mass="{self.girdle_mass / 2}" pos="0 0 0" diaginertia="5e-4 5e-4 5e-4"/>',
            mjcf.capsule((0, y * 0.03, 0.015), (0, y * (shoulder - 0.03), 0), 0.052 * thick, shirt),
            scapula,
        )

    def _leg(self, side: str) -> str:
        y, length, thick = SIDES[side], self.length, self.thick
        thigh, shank = length["thigh"], length["shank"]
        foot, height = length["foot"], length["foot_height"]
        skin, shorts = self.subject.skin, self.subject.shorts
        foot_body = self._body(
            f"foot_{side}",
            (0, 0, -shank),
            f'<joint name="ankle_{side}" axis="0 -1 0"/>',
            f'<joint name="subtalar_{side}" axis="{y} 0 0"/>',
            mjcf.inertial(self.mass["foot"], (foot * 0.2, 0, -height * 0.5), foot, 0.04),
            mjcf.capsule(
                (-foot * 0.22, 0, 0.035 - height),
                (foot * 0.62, y * 0.01, 0.03 - height),
                0.036,
                (0.9, 0.9, 0.92),
            ),
            mjcf.capsule(
                (foot * 0.4, 0, 0.03 - height),
                (foot * 0.6, y * 0.015, 0.028 - height),
                0.04,
                (0.85, 0.3, 0.2),
            ),
            f'<site name="sole_{side}" pos="{mjcf.numbers(foot * 0.25, 0, -height)}"/>',
            f'<site name="heel_{side}" pos="{mjcf.numbers(-foot * 0.3, 0, -height * 0.8)}"/>',
            f'<site name="toe_{side}" pos="{mjcf.numbers(foot * 0.7, 0, -height * 0.8)}"/>',
        )
        shank_body = self._body(
            f"shank_{side}",
            (0, 0, -thigh),
            f'<joint name="knee_{side}" axis="0 1 0"/>',
            mjcf.inertial(self.mass["shank"], (0, 0, -0.446 * shank), shank, 0.052),
            mjcf.capsule((0, 0, 0), (0, 0, -shank), 0.041 * thick, skin),
            mjcf.ellipsoid(
                (-0.018, 0, -shank * 0.3), (0.049 * thick, 0.049 * thick, shank * 0.28), skin
            ),
            foot_body,
        )
        return self._body(
            f"thigh_{side}",
            (0, y * length["hip"], 0),
            f'<joint name="hip_{side}" type="ball"/>',
            mjcf.inertial(self.mass["thigh"], (0, 0, -0.41 * thigh), thigh, 0.078),
            mjcf.capsule((0, y * 0.01, -0.03), (0, 0, -thigh * 0.55), 0.084 * thick, shorts),
            mjcf.capsule((0, 0, -thigh * 0.5), (0, 0, -thigh), 0.062 * thick, skin),
            mjcf.ellipsoid(
                (0.02, 0, -thigh * 0.6), (0.070 * thick, 0.070 * thick, thigh * 0.35), shorts
            ),
            shank_body,
        )

    def _handheld(self, side: str) -> str:
        """Equipment in this hand; the handle lies along the x axis of the hand."""
        grip = (0, 0, -self.length["hand"] * GRIP)
        if self.equipment in ("dumbbell", f"dumbbell_{side}"):
            return self._body(f"dumbbell_{side}", grip, gear.dumbbell(self.load))
        if self.equipment in gear.GRIP_WIDTH:
            # Each hand carries half of the weight at the grip, as two hands on a rigid bar do. The
            # half bars are only visual; their joints align them.
            bar = gear.half_bar(
                self.load,
                (0.0, float(SIDES[side]), 0.0),
                hand_spread(self.subject, self.equipment),
                weightless=True,
            )
            weight = mjcf.inertial(self.load / 2, (0, 0, 0), 0.1, 0.1)
            joint = f'<joint name="bar_{side}" type="ball"/>'
            return self._body(f"barbell_{side}", grip, joint, weight, bar)
        return ""


def hand_spread(subject: Subject, equipment: Equipment) -> float:
    """Distance of each hand from the middle of a held bar, m."""
    shoulder = subject.anatomy.lengths["shoulder"] * subject.height * width_factor(subject)
    return shoulder + gear.GRIP_WIDTH[equipment]
