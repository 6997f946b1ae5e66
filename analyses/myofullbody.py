"""Our muscles against MyoFullBody (416 muscles): time courses of the prime movers.

The same movement and load are given to both bodies. MyoFullBody takes the directions of our
segments (inverse kinematics), then its own inverse dynamics and static optimisation; its muscles'
activations are correlated over time with ours. Agreement means that our 84 simple muscle paths are
recruited like those of a detailed model. Neither is a measurement.

Needs `pip install --no-deps musclemimic-models`, a development tool only (without dependencies: it
asks for `mujoco`, which must not be installed beside `mujoco-core`). Its NOTICE says that part of
the model was released for non-commercial use, so nothing of it is copied here.

    python -m analyses.myofullbody --subjects 2
"""

import argparse
import collections
import dataclasses
import sys

import mujoco
import numpy as np

from video2emg.core import vocabulary
from video2emg.physics import anatomy
from video2emg.sim import dynamics, record, semg
from video2emg.sim.exercises import EXERCISES
from video2emg.sim.tempo import POSE_RATE
from video2emg.sim.trials import plan_trials

RATE = 25.0  # Hz
SIDES = {"right": "r", "left": "l"}
TRACKING = 1.0  # weight of the squared torque error against the squared activation
TOLERANCE, TRUNK_TOLERANCE = 3.0, 30.0  # N·m; the trunk's muscles miss its torque by far
TURN = 0.003  # weight of staying near the previous posture in the inverse kinematics

# Segment: the bodies where it starts and ends, ours and theirs, without the side.
LIMBS = {
    "upper arm": ("upper_arm", "forearm", "humerus", "ulna"),
    "forearm": ("forearm", "hand", "ulna", "lunate"),
    "thigh": ("thigh", "shank", "femur", "tibia"),
    "shank": ("shank", "foot", "tibia", "talus"),
}
# Electrode site: theirs, right side.
MUSCLES = {
    "anterior_deltoid": ("DELT1",),
    "medial_deltoid": ("DELT2",),
    "biceps_brachii": ("BIClong", "BICshort"),
    "triceps_brachii": ("TRIlong", "TRIlat"),
    "vastus_lateralis": ("vaslat_r",),
    "gluteus_maximus": ("glmax1_r", "glmax2_r", "glmax3_r"),
    "biceps_femoris": ("bflh_r", "bfsh_r"),
    "erector_spinae": tuple(f"LTpL_L{i}_r" for i in range(1, 6)),
}  # the model has no trapezius
# Joints that are solved for; the others follow these by the model's couplings, or stay.
SOLVED_TRUNK = ("flex_extension", "lat_bending", "axial_rotation")
SOLVED_LIMBS = (
    *("elv_angle", "shoulder_elv", "shoulder_rot", "elbow_flex", "hip_flexion", "hip_adduction"),
    *("hip_rotation", "knee_angle", "ankle_angle", "subtalar_angle"),
)


@dataclasses.dataclass
class Movement:
    """What our model does, at `RATE`, in the room's frame.

    Attributes:
      direction: of limb segments by (name, side), unit vectors [T, 3].
      frame: orientation of the pelvis, chest and feet [T, 3, 3], columns forward, left, up.
      load: kg on each of "right", "left" (hands) and "back".
    """

    direction: dict[tuple[str, str], np.ndarray]
    frame: dict[str, np.ndarray]
    load: dict[str, float]


def movement(model: mujoco.MjModel, qpos: np.ndarray, load: dict[str, float]) -> Movement:
    """Reads segment directions off our model, [T, Q] positions at `RATE`."""
    data = mujoco.MjData(model)
    direction, frame = collections.defaultdict(list), collections.defaultdict(list)
    for q in qpos:
        data.qpos[:] = q
        mujoco.mj_kinematics(model, data)
        for side in SIDES:
            for name, (start, end, *_) in LIMBS.items():
                line = data.body(f"{end}_{side}").xpos - data.body(f"{start}_{side}").xpos
                direction[name, side].append(line / np.linalg.norm(line))
            frame[f"foot_{side}"].append(data.body(f"foot_{side}").xmat.reshape(3, 3).copy())
        for name in ("pelvis", "chest"):
            frame[name].append(data.body(name).xmat.reshape(3, 3).copy())
    return Movement(
        {k: np.array(v) for k, v in direction.items()},
        {k: np.array(v) for k, v in frame.items()},
        load,
    )


class Myo:
    """MyoFullBody reduced to the coordinates that are solved for."""

    def __init__(self, model: mujoco.MjModel):
        # Only muscles shall produce torque: no springs, dampers, limits or contacts. The couplings
        # between joints are kept by projection instead.
        model.jnt_stiffness[:], model.dof_damping[:] = 0, 0
        model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONSTRAINT)
        self.model, self.data = model, mujoco.MjData(model)
        names = [*SOLVED_TRUNK, *(f"{n}_{s}" for n in SOLVED_LIMBS for s in SIDES.values())]
        joints = [model.joint(name).id for name in names]
        self.address = model.jnt_qposadr[joints]
        self.dofs = [*range(6), *model.jnt_dofadr[joints]]
        self.tolerance = np.where(np.arange(len(joints)) < 3, TRUNK_TOLERANCE, TOLERANCE)
        self.limits = model.jnt_range[joints]
        self.rest = model.qpos0.copy()
        self.couplings = [
            (model.eq_obj1id[e], model.eq_obj2id[e], model.eq_data[e, :5])
            for e in range(model.neq)
            if model.eq_type[e] == mujoco.mjtEq.mjEQ_JOINT
        ]
        # It faces −y at rest; turned to face +x, bodies get axes forward, left and up.
        self.rest[3:7] = self._turn(np.pi / 2, self.rest[3:7])
        self.pose(self.rest)
        self.frames = {
            "pelvis": "pelvis",
            "chest": "thorax",
            **{f"foot_{s}": f"calcn_{c}" for s, c in SIDES.items()},
        }
        self.axes = {
            k: self.data.body(b).xmat.reshape(3, 3).T.copy() for k, b in self.frames.items()
        }
        # In a neutral pose shoulders and elbows leave the singularity of hanging straight down.
        for joint, angle in (("shoulder_elv", 0.15), ("elbow_flex", 0.1)):
            for side in SIDES.values():
                self.rest[model.joint(f"{joint}_{side}").qposadr] = angle

    @staticmethod
    def _turn(angle: float, quaternion: np.ndarray) -> np.ndarray:
        result = np.zeros(4)
        turn = np.array([np.cos(angle / 2), 0, 0, np.sin(angle / 2)])
        mujoco.mju_mulQuat(result, turn, quaternion)
        return result

    def pose(self, qpos: np.ndarray) -> np.ndarray:
        """Makes the coupled joints follow; returns G [V, I], d(all velocities) / d(solved)."""
        model = self.model
        self.data.qpos[:] = qpos
        independent = np.zeros((model.nv, len(self.dofs)))
        independent[self.dofs, np.arange(len(self.dofs))] = 1
        for follower, leader, poly in self.couplings:
            if leader < 0:
                continue
            leads, follows = model.jnt_qposadr[leader], model.jnt_qposadr[follower]
            x = self.data.qpos[leads] - model.qpos0[leads]
            self.data.qpos[follows] = model.qpos0[follows] + np.polynomial.Polynomial(poly)(x)
            slope = np.polynomial.Polynomial(poly).deriv()(x)
            independent[model.jnt_dofadr[follower]] = slope * independent[model.jnt_dofadr[leader]]
        mujoco.mj_kinematics(model, self.data)
        mujoco.mj_comPos(model, self.data)
        return independent

    def _jacobian(self, body: str) -> tuple[np.ndarray, np.ndarray]:
        linear, angular = np.zeros((3, self.model.nv)), np.zeros((3, self.model.nv))
        mujoco.mj_jacBody(self.model, self.data, linear, angular, self.model.body(body).id)
        return linear, angular

    def _errors(self, target: Movement, t: int) -> tuple[np.ndarray, np.ndarray]:
        """Errors of directions [E] and their Jacobian [E, V]."""
        error, jacobian = [], []
        for (name, side), wanted in target.direction.items():
            start, end = (f"{b}_{SIDES[side]}" for b in LIMBS[name][2:])
            line = self.data.body(end).xpos - self.data.body(start).xpos
            length = np.linalg.norm(line)
            line = line / length
            moved = (self._jacobian(end)[0] - self._jacobian(start)[0]) / length
            error.append(wanted[t] - line)
            jacobian.append(moved - np.outer(line, line @ moved))
        for name, wanted in target.frame.items():
            body = self.frames[name]
            angular = self._jacobian(body)[1]
            # Columns: where its forward, left and up point now.
            now = self.data.body(body).xmat.reshape(3, 3) @ self.axes[name]
            weight = 0.3 if name.startswith("foot") else 1.0
            for k in (0, 2):
                error.append(weight * (wanted[t][:, k] - now[:, k]))
                jacobian.append(weight * np.cross(angular, now[:, k], axis=0))
        return np.concatenate(error), np.concatenate(jacobian)

    def follow(self, target: Movement) -> tuple[np.ndarray, np.ndarray]:
        """Inverse kinematics: [T, Q], and the mean angle error of limbs in degrees [T]."""
        qpos, found, misses = self.rest.copy(), [], []
        for t in range(len(target.frame["pelvis"])):
            for _ in range(60 if t == 0 else 15):
                independent = self.pose(qpos)
                error, jacobian = self._errors(target, t)
                jacobian = jacobian @ independent
                jacobian[:, :3] = 0  # directions do not move with the root
                normal = jacobian.T @ jacobian + TURN * np.eye(jacobian.shape[1])
                step = np.clip(np.linalg.solve(normal, jacobian.T @ error), -0.3, 0.3)
                mujoco.mj_integratePos(self.model, qpos, independent @ step, 1.0)
                qpos[self.address] = np.clip(qpos[self.address], *self.limits.T)
            self.pose(qpos)
            limbs = self._errors(target, t)[0][: 3 * len(target.direction)].reshape(-1, 3)
            misses.append(np.rad2deg(np.linalg.norm(limbs, axis=1)).mean())
            # The feet stay where they are.
            feet = [self.data.body(f"calcn_{s}").xpos for s in SIDES.values()]
            qpos[:3] -= np.mean(feet, axis=0)
            self.pose(qpos)
            found.append(self.data.qpos.copy())
        return np.array(found), np.array(misses)

    def activations(self, qpos: np.ndarray, load: dict[str, float]) -> tuple[np.ndarray, float]:
        """Inverse dynamics and static optimisation: [T, n], and the residual (see `_share`)."""
        model, data = self.model, self.data
        qpos = dynamics.low_pass(qpos, RATE)
        velocity = np.zeros((len(qpos), model.nv))
        for t in range(len(qpos)):
            before, after = max(t - 1, 0), min(t + 1, len(qpos) - 1)
            span = (after - before) / RATE
            mujoco.mj_differentiatePos(model, velocity[t], span, qpos[before], qpos[after])
        acceleration = np.gradient(velocity, 1 / RATE, axis=0)
        points = {"right": "thirdmc_r", "left": "thirdmc_l", "back": "thorax"}
        path = {place: [] for place in load}
        for q in qpos:
            self.pose(q)
            for place in load:
                path[place].append(data.body(points[place]).xpos.copy())
        # Weight and inertia of what is carried.
        pull = {
            place: kg
            * (
                model.opt.gravity
                - np.gradient(
                    np.gradient(np.array(path[place]), 1 / RATE, axis=0), 1 / RATE, axis=0
                )
            )
            for place, kg in load.items()
        }
        torque, gain = [], []
        for t in range(len(qpos)):
            independent = self.pose(qpos[t])
            data.qvel[:], data.qacc[:] = velocity[t], acceleration[t]
            mujoco.mj_inverse(model, data)
            asked = data.qfrc_inverse.copy()
            for place in load:
                asked -= self._jacobian(points[place])[0].T @ pull[place][t]
            asked -= self._ground(asked)
            torque.append((independent.T @ asked)[6:])
            gain.append((self._muscle_torques() @ independent)[:, 6:].T)
        return self._share(np.array(gain), np.array(torque))

    def _ground(self, asked: np.ndarray) -> np.ndarray:
        """Torques [V] of the floor's reaction, shared between the feet by least norm."""
        ease = np.tile([0.3, 0.3, 1.0, 0.02, 0.02, 0.01], 2)
        jacobian = np.concatenate(
            [part for s in SIDES.values() for part in self._jacobian(f"calcn_{s}")]
        )
        at_root = jacobian[:, :6].T
        weighted = at_root * ease
        reaction = ease * (at_root.T @ np.linalg.solve(weighted @ at_root.T, asked[:6]))
        return jacobian.T @ reaction

    def _muscle_torques(self) -> np.ndarray:
        """[n, V] torques of fully active muscles, N·m, without their passive forces."""
        model, data = self.model, self.data
        moment = np.zeros((model.nu, model.nv))
        mujoco.mju_sparse2dense(
            moment, data.actuator_moment, data.moment_rownnz, data.moment_rowadr, data.moment_colind
        )
        force = [
            mujoco.mju_muscleGain(
                data.actuator_length[i],
                data.actuator_velocity[i],
                model.actuator_lengthrange[i],
                model.actuator_acc0[i],
                model.actuator_gainprm[i, :9],
            )
            for i in range(model.nu)
        ]
        return moment * np.array(force)[:, None]

    def _share(self, gain: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, float]:
        """Least squared activation in [0, 1] that gives the torques, by projected gradients."""
        scaled, wanted = gain / self.tolerance[:, None], asked / self.tolerance
        # Largest eigenvalue of each instant's quadratic form.
        bound = 1 + TRACKING * np.linalg.norm(scaled, 2, axis=(1, 2)) ** 2
        now = before = np.full((len(gain), gain.shape[2]), 0.02)
        for i in range(2000):  # Nesterov's acceleration
            ahead = now + i / (i + 3) * (now - before)
            miss = np.einsum("pij,pj->pi", scaled, ahead) - wanted
            slope = ahead + TRACKING * np.einsum("pij,pi->pj", scaled, miss)
            before, now = now, np.clip(ahead - slope / bound[:, None], 0, 1)
        limbs = self.tolerance == TOLERANCE
        missed = (np.einsum("pij,pj->pi", gain, now) - asked)[:, limbs]
        return now, float(np.sqrt((missed**2).mean() / (asked[:, limbs] ** 2).mean()))

    def site(self, activation: np.ndarray, muscle: str, side: str) -> np.ndarray | None:
        """[T] mean activation under an electrode; None if the model lacks the muscle."""
        if muscle not in MUSCLES:
            return None
        names = MUSCLES[muscle]
        if side == "left":
            names = [n[:-2] + "_l" if n.endswith("_r") else n + "_left" for n in names]
        return activation[:, [self.model.actuator(n).id for n in names]].mean(axis=1)


def ours(found: record.Performance, muscle: str, side: str) -> np.ndarray:
    """[T] activation under an electrode of our model, at `POSE_RATE`."""
    channel = vocabulary.channel(side, muscle)
    return semg.drive_at_electrode(
        found.solution.activation, found.lifter.muscles, channel, anatomy.load()
    )


def carried(equipment: str, load: float) -> dict[str, float]:
    """Where the load pulls, kg."""
    if equipment == "barbell_back":
        return {"back": load}
    each = load if equipment == "dumbbell" else load / 2
    return {"right": each, "left": each}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--subjects", type=int, default=2, help="simulated subjects per exercise")
    args = parser.parse_args()
    try:
        import musclemimic_models
    except ModuleNotFoundError:
        sys.exit("musclemimic-models is missing: pip install --no-deps musclemimic-models")
    model, _ = musclemimic_models.load("myofullbody")
    myo = Myo(model)
    print(f"{'exercise':26s}{'muscle':20s}{'side':7s}{'r':>6s}{'peak ours':>11s}{'theirs':>8s}")
    table = collections.defaultdict(list)
    for trial in plan_trials(args.subjects, 1, seed=0):
        # The exercise done well, at a load that everybody can handle.
        exercise = EXERCISES[trial.exercise]
        low, high, _ = exercise.loads
        load = low + 0.3 * (high - low)
        found = record.perform(trial.subject, exercise, load, [{}], trial.seed)
        stride = round(POSE_RATE / RATE)
        target = movement(
            found.lifter.model, found.qpos[::stride], carried(exercise.equipment, load)
        )
        qpos, misses = myo.follow(target)
        theirs, residual = myo.activations(qpos, target.load)
        for muscle in exercise.muscles:
            for side in SIDES:
                other = myo.site(theirs, muscle, side)
                if other is None:
                    continue
                own = ours(found, muscle, side)[::stride]
                r = np.corrcoef(own, other)[0, 1]
                table[trial.exercise, muscle].append(r)
                print(
                    f"{trial.exercise:26s}{muscle:20s}{side:7s}{r:6.2f}"
                    f"{own.max():11.2f}{other.max():8.2f}"
                )
        print(f"{'':26s}directions met to {misses.mean():.1f}°, limb torques to {residual:.0%}")
    print("\nMean correlation")
    for (exercise, muscle), values in table.items():
        print(f"{exercise:26s}{muscle:20s}{np.mean(values):6.2f}")


if __name__ == "__main__":
    main()
