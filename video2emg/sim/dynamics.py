"""Inverse dynamics: from motion to joint torques, and to the moment arms of all muscles."""

import dataclasses
from collections.abc import Sequence

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
    torque, moment_arm = np.zeros((n, model.nv)), np.zeros((n, len(rows), model.ntendon))
    length, centre_of_pressure = np.zeros((n, model.ntendon)), np.zeros(n)
    joints, named = np.zeros((n, len(vocabulary.FLEX_21), 3)), np.zeros((n, len(vocabulary.DOFS)))
    position, rotation = np.zeros((n, model.ngeom, 3)), np.zeros((n, model.ngeom, 3, 3))
    read_joints, read_torque = _joint_reader(model), _TorqueReader(model)
    ground = Ground(model, support.contacts if support else (), heading)
    jacobian = np.zeros((model.ntendon, model.nv))
    shared_load = SharedLoad(model) if shared else None
    shift, named_shift = np.zeros_like(torque), np.zeros_like(named)
    for i in range(n):
        if carried is not None:
            load.carry(float(carried[i]))
        data.qpos[:], data.qvel[:], data.qacc[:] = qpos[i], qvel[i], qacc[i]
        mujoco.mj_inverse(model, data)
        torque[i], centre_of_pressure[i] = ground.joint_torques(model, data)
        mujoco.mju_sparse2dense(
            jacobian, data.ten_J, model.ten_J_rownnz, model.ten_J_rowadr, model.ten_J_colind
        )
        moment_arm[i] = -jacobian[:, rows].T
        length[i] = data.ten_length
        joints[i] = read_joints(data)
        named[i] = read_torque(data, torque[i])
        position[i], rotation[i] = data.geom_xpos, data.geom_xmat.reshape(-1, 3, 3)
        if shared_load:
            shift[i] = shared_load.torque(model, data)
            named_shift[i] = read_torque(data, shift[i])
    load.carry(1.0)
    return Motion(
        torque=torque[:, rows],
        moment_arm=moment_arm,
        tolerance=tolerance,
        axial=axial,
        length=length,
        velocity=np.asarray(np.gradient(length, 1 / rate, axis=0)),
        named_torque=named,
        centre_of_pressure=centre_of_pressure,
        joints=joints,
        geom_position=position,
        geom_rotation=rotation,
        torque_shift=shift[:, rows] if shared else None,
        named_shift=named_shift if shared else None,
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
        self._gaps = np.zeros(len(contacts))  # m, from the points to their pads
        self._jacobian = np.zeros((12 + 3 * len(contacts), model.nv))
        # On a bench the back is supported too, so its torque also has a cost.
        with_cost = ("hip", "knee", "ankle", "lumbar") if contacts else ("hip", "knee", "ankle")
        self._joints = np.concatenate(
            [
                model.jnt_dofadr[j] + np.arange(3 if name.startswith("hip") else 1)
                for j in range(model.njnt)
                if (name := model.joint(j).name).startswith(with_cost)
            ]
        )

    def joint_torques(self, model: mujoco.MjModel, data: mujoco.MjData) -> tuple[np.ndarray, float]:
        """Joint torques [nv] without external forces, and the centre of pressure of the feet, m."""
        force = self.forces(model, data)
        soles = data.site_xpos[self._sites]
        forward = (data.xmat[self._ankles].reshape(-1, 3, 3)[:, :, 0]).sum(0)
        forward[2] = 0
        forward /= np.linalg.norm(forward)
        wrench = force[:12].reshape(2, 6)
        vertical = np.maximum(wrench[:, 2:3], 1.0)
        # A vertical force beside the site of the sole is a force and a moment at the site.
        offset = np.stack([-wrench[:, 4], wrench[:, 3], np.zeros(2)], -1) / vertical
        centre = (vertical * (soles + offset)).sum(0) / vertical.sum() - data.xpos[
            self._ankles
        ].mean(0)
        return data.qfrc_inverse - self._jacobian.T @ force, float(centre @ forward)

    def forces(self, model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
        """Wrenches on both feet and forces on the c contacts [12 + 3 c], N and N·m.

        Bench and floor can push but not pull. On a bench, the contact that would pull most gets a
        high cost and the forces are distributed again, until no contact pulls.
        """
        self._update(model, data)
        out_of_reach = np.where(self._gaps > _CONTACT_DISTANCE, _NO_CONTACT, 1.0)
        feet = self._FOOT_COST * (self._BENCH_FOOT_FACTOR if self._contacts else 1.0)
        cost = np.concatenate([feet, np.outer(out_of_reach, self._PAD_COST).ravel()])
        starts = [0, 6, *range(12, len(cost), 3)]
        normals = np.array([start + 2 for start in starts])
        for _ in starts:
            force = self._least_cost(cost, data.qfrc_inverse)
            worst = int(np.argmin(np.where(cost[normals] < _NO_CONTACT, force[normals], 0.0)))
            if not self._contacts or force[normals[worst]] >= 0:
                break
            cost[starts[worst] : [*starts, len(cost)][worst + 1]] *= _NO_CONTACT
        return force

    def by_body(self, model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
        """`forces` as a force and a moment about the centre of mass of each body, N and N·m.

        Returns:
          [bodies, 6] in the axes of the room, as `mjData.xfrc_applied` wants it.
        """
        force, applied = self.forces(model, data), np.zeros((model.nbody, 6))
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

    def _update(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Updates the Jacobian of feet and contacts, and the distances from the pads."""
        for k, site in enumerate(self._sites):
            mujoco.mj_jacSite(
                model,
                data,
                self._jacobian[6 * k : 6 * k + 3],
                self._jacobian[6 * k + 3 : 6 * k + 6],
                site,
            )
        for k, (contact, frame) in enumerate(zip(self._contacts, self._frames, strict=True)):
            body = model.body(contact.body).id
            point = data.xpos[body] + data.xmat[body].reshape(3, 3) @ contact.point
            jacobian = np.zeros((3, model.nv))
            mujoco.mj_jac(model, data, jacobian, None, point, body)
            self._jacobian[12 + 3 * k : 15 + 3 * k] = frame @ jacobian
            self._gaps[k] = frame[2] @ (point - self._pads[k])

    def _least_cost(self, cost: np.ndarray, inverse: np.ndarray) -> np.ndarray:
        """Forces of least cost that balance the whole body: a linear system (Lagrange).

        Args:
          cost: of each force and moment.
          inverse: [nv] generalised forces of inverse dynamics without contacts.
        """
        root, joints, n = self._jacobian[:, :6].T, self._jacobian[:, self._joints], len(cost)
        system = np.zeros((n + 6, n + 6))
        system[:n, :n] = np.diag(cost) + self._TORQUE_COST * joints @ joints.T
        system[:n, n:], system[n:, :n] = root.T, root
        target = np.concatenate([self._TORQUE_COST * joints @ inverse[self._joints], inverse[:6]])
        return np.linalg.solve(system, target)[:n]


def _frame(normal: np.ndarray) -> np.ndarray:
    """[3, 3] axes: the third is `normal`, the second is horizontal."""
    across = np.array([0.0, 1.0, 0.0])
    return np.stack([np.cross(across, normal), across, normal], -1)


def _joint_reader(model: mujoco.MjModel):
    """Returns a function that reads the positions [21, 3] of `FLEX_21`, m."""
    body = {
        "shoulder": "upper_arm",
        "elbow": "forearm",
        "wrist": "hand",
        "hip": "thigh",
        "knee": "shank",
        "ankle": "foot",
    }
    sources = []
    for name in vocabulary.FLEX_21:
        side, _, part = name.partition("_")
        if name == "chest":
            sources.append(("body", model.body("chest").id))
        elif part in body:
            sources.append(("body", model.body(f"{body[part]}_{side}").id))
        else:
            part = {"hand": "fingers"}.get(part, part)
            sources.append(("site", model.site(f"{part}_{side}" if part else name).id))

    def read(data: mujoco.MjData) -> np.ndarray:
        return np.array(
            [(data.xpos if kind == "body" else data.site_xpos)[i] for kind, i in sources]
        )

    return read


class _TorqueReader:
    """Reads the torques of `vocabulary.DOFS` from a generalised force."""

    def __init__(self, model: mujoco.MjModel):
        def address(name: str) -> int:
            return int(model.joint(name).dofadr[0])

        self._hinges: dict[str, tuple[int, float]] = {}
        self._balls = []
        self._hinges["lumbar_extension"] = (address("lumbar_flexion"), -1.0)
        for side, sign in SIDES.items():
            for name, joint, direction in (
                ("elbow_flexion", "elbow", 1.0),
                ("knee_extension", "knee", -1.0),
                ("ankle_plantarflexion", "ankle", -1.0),
            ):
                self._hinges[f"{side}_{name}"] = (address(f"{joint}_{side}"), direction)
            for joint, parent, forward, about_y in (
                ("shoulder", "chest", "shoulder_flexion", -1.0),
                ("hip", "pelvis", "hip_extension", 1.0),
            ):
                ball = model.joint(f"{joint}_{side}")
                self._balls.append(
                    (
                        int(ball.dofadr[0]),
                        int(model.jnt_bodyid[ball.id]),
                        model.body(parent).id,
                        (f"{side}_{forward}", about_y),
                        (f"{side}_{joint}_abduction", float(sign)),
                    )
                )

    def __call__(self, data: mujoco.MjData, torque: np.ndarray) -> np.ndarray:
        """[D] N·m, in the order of `DOFS`; ball joints about the axes of the parent segment."""
        values = {name: factor * torque[dof] for name, (dof, factor) in self._hinges.items()}
        for dof, child, parent, (forward, about_y), (sideways, about_x) in self._balls:
            turned = data.xmat[child].reshape(3, 3) @ torque[dof : dof + 3]
            x, y, _ = data.xmat[parent].reshape(3, 3).T @ turned
            values[forward], values[sideways] = about_y * y, about_x * x
        return np.array([values[name] for name in vocabulary.DOFS])
