"""Inverse dynamics: from motion to joint torques, and to the moment arms of all muscles."""

import dataclasses
import typing
from collections.abc import Callable, Sequence

import mujoco
import numpy as np
from jaxtyping import Float
from scipy import signal

from video2emg.core import vocabulary
from video2emg.sim import kinematics
from video2emg.sim.bench import Contact, Support
from video2emg.sim.body import SIDES, Lifter
from video2emg.sim.shared_load import SharedLoad

CUTOFF = 6.0  # Hz, low-pass of the coordinates, as usual for motion capture (Winter)

# Degrees of freedom whose torque the muscles must produce, with the tolerated residual (N·m per
# unit of cost). The others (wrist, forearm rotation, neck, thorax, subtalar, scapula) are held by
# muscles that the model does not have.
_TOLERANCE = {
    "lumbar_flexion": 8.0,
    "lumbar_bend": 8.0,
    "lumbar_turn": 8.0,
    "clavicle": 3.0,
    "shoulder": 2.0,
    "elbow": 3.0,
    "hip": 6.0,
    "knee": 3.0,
    "ankle": 3.0,
}
_NO_CONTACT = 1e4  # factor on the cost of a contact that would have to pull, or is out of reach
_CONTACT_DISTANCE = 0.045  # m from the pad within which soft tissue still touches it
_AXIAL_FACTOR = 5.0  # on the tolerance of rotation about a long bone, which ligaments also resist


@dataclasses.dataclass(frozen=True)
class Motion:
    """Result of inverse dynamics: T samples, n muscles, R actuated degrees of freedom.

    Attributes:
      torque: [T, R] N·m at the actuated degrees of freedom.
      moment_arm: [T, R, n] m (torque of a muscle per N).
      tolerance: [R] N·m.
      axial: [R] bool, rotations about a long bone.
      length: [T, n] muscle lengths, m.
      velocity: [T, n] of lengthening, m/s.
      named_torque: [T, D] N·m, in the order of `vocabulary.DOFS`.
      centre_of_pressure: [T] m, in front of the ankles.
      joints: [T, J, 3] positions of `vocabulary.FLEX_21`, m, in the room.
      geom_position: [T, G, 3] m.
      geom_rotation: [T, G, 3, 3].
      torque_shift, named_shift: change of `torque` and `named_torque` per share of a shared load
        that moves from right to left; None if no load is shared.
    """

    torque: np.ndarray
    moment_arm: np.ndarray
    tolerance: np.ndarray
    axial: np.ndarray
    length: np.ndarray
    velocity: np.ndarray
    named_torque: np.ndarray
    centre_of_pressure: np.ndarray
    joints: np.ndarray
    geom_position: np.ndarray
    geom_rotation: np.ndarray
    torque_shift: np.ndarray | None = None
    named_shift: np.ndarray | None = None

    def leaning(self, share: Float[np.ndarray, " T"]) -> "Motion":
        """The same motion with a share of the shared load moved from right to left."""
        if self.torque_shift is None or self.named_shift is None:
            return self
        return dataclasses.replace(
            self,
            torque=self.torque + share[:, None] * self.torque_shift,
            named_torque=self.named_torque + share[:, None] * self.named_shift,
        )


def actuated(model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Addresses, tolerances (N·m) and axial flags of the degrees of freedom that muscles drive."""
    address, tolerance, axial = [], [], []
    for j in range(model.njnt):
        name = model.joint(j).name
        base = name.removesuffix("_left").removesuffix("_right")
        if base not in _TOLERANCE:
            continue
        ball = model.jnt_type[j] == mujoco.mjtJoint.mjJNT_BALL
        for k in range(3 if ball else 1):
            address.append(model.jnt_dofadr[j] + k)
            axial.append(k == 2)
            tolerance.append(_TOLERANCE[base] * (_AXIAL_FACTOR if k == 2 else 1.0))
    return np.array(address), np.array(tolerance), np.array(axial)


def low_pass(qpos: Float[np.ndarray, "T Q"], rate: float) -> Float[np.ndarray, "T Q"]:
    """Low-pass filtered coordinates; `rate` in Hz."""
    sos = signal.butter(2, CUTOFF, fs=rate, output="sos")
    return signal.sosfiltfilt(sos, qpos, axis=0, padlen=min(30, len(qpos) - 2))


def inverse_dynamics(
    lifter: Lifter,
    qpos: Float[np.ndarray, "T Q"],
    rate: float,
    support: Support | None = None,
    heading: float = 0.0,
    carried: Float[np.ndarray, " T"] | None = None,
    shared: bool = False,
) -> Motion:
    """Inverse dynamics of a motion with both feet on the floor, and optionally a bench.

    Newton's laws give the wrench that floor and bench exert on the whole body. It is distributed
    between feet and contacts at least cost of forces, moments and joint torques.

    Args:
      lifter: the model.
      qpos: smooth coordinates.
      rate: of the samples, Hz.
      support: how a bench supports the body.
      heading: of the feet, rad.
      carried: share of the load that the body carries at each sample; all of it by default.
      shared: whether to compute how torques change if one foot carries more.
    """
    model, data = lifter.model, mujoco.MjData(lifter.model)
    load = _Load(model)
    place_bench(data, support, heading)
    n, (rows, tolerance, axial) = len(qpos), actuated(model)
    qpos = qpos.copy()
    for row in qpos:
        mujoco.mj_normalizeQuat(model, row)
    qvel, qacc = derivatives(model, qpos, rate)
    ground = Ground(model, support.contacts if support else (), heading)
    shared_load = SharedLoad(model) if shared else None
    places, stances, shift = _Places(model, n), [], np.zeros((n, model.nv))
    for i in range(n):
        if carried is not None:
            load.carry(float(carried[i]))
        data.qpos[:], data.qvel[:], data.qacc[:] = qpos[i], qvel[i], qacc[i]
        mujoco.mj_inverse(model, data)
        places.read(i, data)
        stances.append(ground.stance(model, data))
        if shared_load:
            shift[i] = shared_load.torque(model, data)
    load.carry(1.0)
    torque, centre_of_pressure = ground.joint_torques(stances)
    return Motion(
        torque=torque[:, rows],
        moment_arm=-np.swapaxes(places.tendon_jacobian[:, :, rows], 1, 2),
        tolerance=tolerance,
        axial=axial,
        length=places.length,
        velocity=np.asarray(np.gradient(places.length, 1 / rate, axis=0)),
        named_torque=places.named(torque),
        centre_of_pressure=centre_of_pressure,
        joints=places.joints(),
        geom_position=places.geom_position,
        geom_rotation=places.geom_rotation,
        torque_shift=shift[:, rows] if shared else None,
        named_shift=places.named(shift) if shared else None,
    )


def place_bench(data: mujoco.MjData, support: Support | None, heading: float) -> None:
    """Puts the bench, if there is one, where it supports a body that faces `heading`, rad."""
    if support is not None:
        turn = heading + (np.pi if support.faces_subject else 0.0)
        data.mocap_pos[0] = kinematics.rotation("z", heading) @ support.bench
        data.mocap_quat[0] = np.cos(turn / 2), 0, 0, np.sin(turn / 2)


class _Load:
    """The mass of the equipment, of which a rack may carry a part."""

    def __init__(self, model: mujoco.MjModel):
        self._model, self._share, self._scratch = model, 1.0, mujoco.MjData(model)
        names = [model.body(b).name for b in range(model.nbody)]
        self._bodies = [b for b, name in enumerate(names) if name.startswith(("bar", "dumb"))]
        self._mass = model.body_mass[self._bodies].copy()
        self._inertia = model.body_inertia[self._bodies].copy()

    def carry(self, share: float) -> None:
        """Leaves this share of the load to the body."""
        if share == self._share:
            return
        kept = max(share, 1e-3)  # MuJoCo needs a positive mass
        self._model.body_mass[self._bodies] = kept * self._mass
        self._model.body_inertia[self._bodies] = kept * self._inertia
        mujoco.mj_setConst(self._model, self._scratch)
        self._share = share


def derivatives(
    model: mujoco.MjModel, qpos: np.ndarray, rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Velocities and accelerations [T, nv] by central differences."""
    n = len(qpos)
    qvel = np.zeros((n, model.nv))
    for i in range(n):
        a, b = max(i - 1, 0), min(i + 1, n - 1)
        mujoco.mj_differentiatePos(model, qvel[i], (b - a) / rate, qpos[a], qpos[b])
    return qvel, np.asarray(np.gradient(qvel, 1 / rate, axis=0))


@dataclasses.dataclass(frozen=True)
class Stance:
    """One instant: how K forces and moments of feet and bench act on nv coordinates.

    Attributes:
      inverse: [nv] generalised forces of inverse dynamics without contacts.
      jacobian: [K, nv] of the forces and moments.
      gaps: [c] from the points of contact to their pads, m.
      soles, ankles: [2, 3] m.
      forward: [2, 3] direction of each foot.
    """

    inverse: np.ndarray
    jacobian: np.ndarray
    gaps: np.ndarray
    soles: np.ndarray
    ankles: np.ndarray
    forward: np.ndarray


def _stacked(stances: Sequence[Stance]) -> Stance:
    """T instants as one, with T as the first axis of every field."""
    names = [field.name for field in dataclasses.fields(Stance)]
    return Stance(**{name: np.array([getattr(s, name) for s in stances]) for name in names})


class Ground:
    """Distributes the external wrench on the body between both feet and the bench contacts."""

    # Cost of each foot's force (x, y, z, N) and moment (N·m), and of the legs' joint torques (N·m).
    # Vertical forces are cheap, moments of the small foot expensive. Because torques have a cost,
    # the feet push apart instead of loading hips and knees sideways.
    _FOOT_COST = np.tile([1.0, 1.0, 1.0, 50.0, 50.0, 100.0], 2)
    _TORQUE_COST = 120.0
    # Factor with a bench: the feet need no moments for balance.
    _BENCH_FOOT_FACTOR = np.tile([1.0, 1.0, 1.0, 4.0, 4.0, 1.0], 2)
    # Cost of a pad's force along the pad (twice) and out of it. A soft pad has little friction.
    _PAD_COST = (4.0, 4.0, 1.0)

    def __init__(self, model: mujoco.MjModel, contacts: Sequence[Contact] = (), heading: float = 0):
        self._sites = [model.site(f"sole_{side}").id for side in SIDES]
        self._ankles = [model.body(f"foot_{side}").id for side in SIDES]
        self._contacts = contacts
        facing = kinematics.rotation("z", heading)
        self._frames = [(facing @ _frame(c.normal)).T for c in contacts]
        self._pads = [facing @ c.pad for c in contacts]
        # On a bench the back is supported too, so its torque also has a cost.
        with_cost = ("hip", "knee", "ankle", "lumbar") if contacts else ("hip", "knee", "ankle")
        self._joints = np.concatenate(
            [
                model.jnt_dofadr[j] + np.arange(3 if name.startswith("hip") else 1)
                for j in range(model.njnt)
                if (name := model.joint(j).name).startswith(with_cost)
            ]
        )

    def stance(self, model: mujoco.MjModel, data: mujoco.MjData) -> Stance:
        """What must be known of an instant, after inverse dynamics without contacts."""
        jacobian = np.zeros((12 + 3 * len(self._contacts), model.nv))
        for k, site in enumerate(self._sites):
            forces, moments = jacobian[6 * k : 6 * k + 3], jacobian[6 * k + 3 : 6 * k + 6]
            mujoco.mj_jacSite(model, data, forces, moments, site)
        gaps = np.zeros(len(self._contacts))
        for k, (contact, frame) in enumerate(zip(self._contacts, self._frames, strict=True)):
            body = model.body(contact.body).id
            point = data.xpos[body] + data.xmat[body].reshape(3, 3) @ contact.point
            of_point = np.zeros((3, model.nv))
            mujoco.mj_jac(model, data, of_point, None, point, body)
            jacobian[12 + 3 * k : 15 + 3 * k] = frame @ of_point
            gaps[k] = frame[2] @ (point - self._pads[k])
        return Stance(
            inverse=data.qfrc_inverse.copy(),
            jacobian=jacobian,
            gaps=gaps,
            soles=data.site_xpos[self._sites],
            ankles=data.xpos[self._ankles],
            forward=data.xmat[self._ankles].reshape(-1, 3, 3)[:, :, 0],
        )

    def joint_torques(self, stances: Sequence[Stance]) -> tuple[np.ndarray, np.ndarray]:
        """Joint torques [T, nv] without external forces, and the centre of pressure [T], m.

        The centre of pressure is that of the feet, in front of the ankles.
        """
        stance = _stacked(stances)
        force = self._forces(stance)
        forward = stance.forward.sum(1)
        forward[:, 2] = 0
        forward /= np.linalg.norm(forward, axis=1, keepdims=True)
        wrench = force[:, :12].reshape(-1, 2, 6)
        vertical = np.maximum(wrench[..., 2:3], 1.0)
        # A vertical force beside the site of the sole is a force and a moment at the site.
        offset = np.stack([-wrench[..., 4], wrench[..., 3], 0 * wrench[..., 0]], -1) / vertical
        centre = (vertical * (stance.soles + offset)).sum(1) / vertical.sum(1)
        centre -= stance.ankles.mean(1)
        torque = stance.inverse - np.einsum("tkv,tk->tv", stance.jacobian, force)
        return torque, np.einsum("tx,tx->t", centre, forward)

    def forces(self, stances: Sequence[Stance]) -> np.ndarray:
        """Wrenches on both feet and forces on the c contacts [T, 12 + 3 c], N and N·m.

        Bench and floor can push but not pull. On a bench, the contact that would pull most gets a
        high cost and the forces are distributed again, until no contact pulls.
        """
        return self._forces(_stacked(stances))

    def _forces(self, stance: Stance) -> np.ndarray:
        """`forces` of T instants in one `Stance`."""
        gaps = stance.gaps
        n, feet = len(gaps), self._FOOT_COST * (self._BENCH_FOOT_FACTOR if self._contacts else 1)
        pads = np.where(gaps > _CONTACT_DISTANCE, _NO_CONTACT, 1.0)[..., None] * self._PAD_COST
        cost = np.concatenate([np.tile(feet, (n, 1)), pads.reshape(n, -1)], 1)
        starts = [0, 6, *range(12, cost.shape[1], 3)]
        contact = np.searchsorted(starts, np.arange(cost.shape[1]), "right") - 1  # of each entry
        normals = np.array(starts) + 2
        distribute = self._least_cost(stance)
        force, unfinished = (
            np.zeros_like(cost),
            np.arange(n),
        )  # instants at which a contact may pull
        for _ in starts:
            force[unfinished] = distribute(cost[unfinished], unfinished)
            if not self._contacts:
                break
            push = np.where(
                cost[unfinished][:, normals] < _NO_CONTACT, force[unfinished][:, normals], 0.0
            )
            worst, pulls = push.argmin(1), push.min(1) < 0
            unfinished, worst = unfinished[pulls], worst[pulls]
            if not len(unfinished):
                break
            cost[unfinished] *= np.where(contact == worst[:, None], _NO_CONTACT, 1.0)
        return force

    def by_body(self, model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
        """`forces` as a force and a moment about the centre of mass of each body, N and N·m.

        Returns:
          [bodies, 6] in the axes of the room, as `mjData.xfrc_applied` wants it.
        """
        force, applied = self.forces([self.stance(model, data)])[0], np.zeros((model.nbody, 6))
        points = list(zip(self._ankles, data.site_xpos[self._sites], strict=True))
        wrenches = list(force[:12].reshape(2, 6))
        for k, (contact, frame) in enumerate(zip(self._contacts, self._frames, strict=True)):
            body = model.body(contact.body).id
            points.append((body, data.xpos[body] + data.xmat[body].reshape(3, 3) @ contact.point))
            push = force[12 + 3 * k : 15 + 3 * k] @ frame
            wrenches.append(np.concatenate([push, np.zeros(3)]))
        for (body, point), wrench in zip(points, wrenches, strict=True):
            moment = wrench[3:] + kinematics.cross(point - data.xipos[body], wrench[:3])
            applied[body] += np.concatenate([wrench[:3], moment])
        return applied

    def _least_cost(self, stance: Stance) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Returns a function of costs [t, K] and their instants: forces [t, K] of least cost.

        They balance the whole body: a linear system (Lagrange).
        """
        inverse, jacobian = stance.inverse, stance.jacobian
        root, joints = np.swapaxes(jacobian[:, :, :6], 1, 2), jacobian[:, :, self._joints]
        n, torque_cost = jacobian.shape[1], self._TORQUE_COST * joints @ np.swapaxes(joints, 1, 2)
        gradient = self._TORQUE_COST * np.einsum("tkj,tj->tk", joints, inverse[:, self._joints])
        target = np.concatenate([gradient, inverse[:, :6]], 1)

        def distribute(cost: np.ndarray, instants: np.ndarray) -> np.ndarray:
            system = np.zeros((len(cost), n + 6, n + 6))
            system[:, :n, :n] = torque_cost[instants]
            system[:, range(n), range(n)] += cost
            system[:, :n, n:] = np.swapaxes(root[instants], 1, 2)
            system[:, n:, :n] = root[instants]
            return np.linalg.solve(system, target[instants][..., None])[:, :n, 0]

        return distribute


def _frame(normal: np.ndarray) -> np.ndarray:
    """[3, 3] axes: the third is `normal`, the second is horizontal."""
    across = np.array([0.0, 1.0, 0.0])
    return np.stack([np.cross(across, normal), across, normal], -1)


class _Places:
    """Positions and rotations of all parts at n instants, and what is computed from them."""

    _BODY: typing.ClassVar = {  # joint → the body that begins there
        "shoulder": "upper_arm",
        "elbow": "forearm",
        "wrist": "hand",
        "hip": "thigh",
        "knee": "shank",
        "ankle": "foot",
    }

    def __init__(self, model: mujoco.MjModel, n: int):
        self._model = model
        self._bodies, self._rotations = np.zeros((n, model.nbody, 3)), np.zeros((n, model.nbody, 9))
        self._sites = np.zeros((n, model.nsite, 3))
        self.geom_position = np.zeros((n, model.ngeom, 3))
        self.geom_rotation = np.zeros((n, model.ngeom, 3, 3))
        self.length = np.zeros((n, model.ntendon))
        self.tendon_jacobian = np.zeros((n, model.ntendon, model.nv))

    def read(self, i: int, data: mujoco.MjData) -> None:
        """Copies the i-th instant."""
        self._bodies[i], self._rotations[i], self._sites[i] = data.xpos, data.xmat, data.site_xpos
        self.geom_position[i] = data.geom_xpos
        self.geom_rotation[i] = data.geom_xmat.reshape(-1, 3, 3)
        self.length[i], model = data.ten_length, self._model
        mujoco.mju_sparse2dense(
            self.tendon_jacobian[i],
            data.ten_J,
            model.ten_J_rownnz,
            model.ten_J_rowadr,
            model.ten_J_colind,
        )

    def joints(self) -> Float[np.ndarray, "n 21 3"]:
        """Positions of `FLEX_21`, m."""
        return np.stack([self._joint(name) for name in vocabulary.FLEX_21], 1)

    def _joint(self, name: str) -> np.ndarray:
        side, _, part = name.partition("_")
        if name == "chest":
            return self._bodies[:, self._model.body("chest").id]
        if part in self._BODY:
            return self._bodies[:, self._model.body(f"{self._BODY[part]}_{side}").id]
        part = {"hand": "fingers"}.get(part, part)
        return self._sites[:, self._model.site(f"{part}_{side}" if part else name).id]

    def named(self, torque: Float[np.ndarray, "n nv"]) -> Float[np.ndarray, "n D"]:
        """N·m, in the order of `DOFS`; ball joints about the axes of the parent segment."""
        values = {"lumbar_extension": -torque[:, self._address("lumbar_flexion")]}
        for side, sign in SIDES.items():
            for name, joint, direction in (
                ("elbow_flexion", "elbow", 1.0),
                ("knee_extension", "knee", -1.0),
                ("ankle_plantarflexion", "ankle", -1.0),
            ):
                values[f"{side}_{name}"] = direction * torque[:, self._address(f"{joint}_{side}")]
            for joint, parent, forward, about_y in (
                ("shoulder", "chest", "shoulder_flexion", -1.0),
                ("hip", "pelvis", "hip_extension", 1.0),
            ):
                x, y = self._ball(f"{joint}_{side}", parent, torque)
                values[f"{side}_{forward}"] = about_y * y
                values[f"{side}_{joint}_abduction"] = sign * x
        return np.stack([values[name] for name in vocabulary.DOFS], 1)

    def _address(self, joint: str) -> int:
        return int(self._model.joint(joint).dofadr[0])

    def _ball(self, joint: str, parent: str, torque: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The torque of a ball joint about the first two axes of the parent, N·m."""
        first, child = self._address(joint), int(self._model.joint(joint).bodyid[0])
        turned = np.einsum("tij,tj->ti", self._rotation(child), torque[:, first : first + 3])
        x, y, _ = np.einsum("tji,tj->it", self._rotation(self._model.body(parent).id), turned)
        return x, y

    def _rotation(self, body: int) -> np.ndarray:
        return self._rotations[:, body].reshape(-1, 3, 3)
