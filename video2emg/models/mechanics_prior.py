"""The muscle excitations that mechanics expects, as input and starting point of the model.

Axes as in `pose_network`: S sides, T frames, I instants, N EMG samples, E muscles.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from scipy import interpolate

from video2emg.core import vocabulary
from video2emg.core.body_frame import HEIGHT
from video2emg.core.equipment import PLACES
from video2emg.models.outputs import Outputs
from video2emg.physics import anatomy as anatomies
from video2emg.physics.mechanics import LEAST_RATE, Mechanics, filled, usual_mass

# kg, where the load is unknown: of a dumbbell in each hand, and of a barbell.
TYPICAL_DUMBBELL, TYPICAL_BARBELL = 6.0, 30.0
_LEAST = 0.005  # excitation below which nothing is told apart
_MUSCLE_RATE = 12.5  # Hz


class Prior(NamedTuple):
    """What mechanics expects.

    Attributes:
      excitation: [B, N, S, E] 0-1, at the EMG rate.
      features: [B, S, I, F] the same at the instants of the pose network, own side first.
      known: [B, S, I, 1] whether anything is known.
      trusted: [B, N, S, E] whether the muscle's joints are known.
      torque: [B, N, D] joint torques, N·m, of `vocabulary.DOFS`.
    """

    excitation: Float[Array, "B N S E"]
    features: Float[Array, "B S I F"]
    known: Bool[Array, "B S I 1"]
    trusted: Bool[Array, "B N S E"]
    torque: Float[Array, "B N D"]


class MechanicsPrior(nn.Module):
    """Mechanics of the pose; it has no parameters.

    Attributes:
      joints: names of the J joints.
      frame_rate: of the pose, Hz; a slower one is interpolated.
      rate: of the instants, Hz.
      emg_rate: Hz.
      inputs: names of fields; of load, held, height and traits, those named are read where known.
      anatomy: name of an anatomy, or the path of its table.
      cutoff: low-pass of the positions, Hz; 0 for none.
      force_error, lever_error: relative errors of forces and moment arms in training.
      balanced: whether the vertical of the pose is corrected, see `Mechanics`.
      common_drive: of the heads of a muscle, see `Mechanics`.
    """

    joints: Sequence[str]
    frame_rate: float
    rate: float
    emg_rate: float
    inputs: Sequence[str]
    anatomy: str
    cutoff: float
    force_error: float
    lever_error: float
    balanced: bool = False
    common_drive: float = 0.0

    def __call__(
        self,
        pose: Float[Array, "B T J 3"],
        known: Bool[Array, "B T J"],
        batch: Mapping[str, jax.Array],
        *,
        train: bool,
    ) -> Prior:
        """Computes the prior.

        Args:
          pose: in the canonical frame, m of a body of `HEIGHT`.
          known: joints that are known.
          batch: the fields load, held, height and traits, and their masks.
          train: whether forces and moment arms have random errors.
        """
        frames = pose.shape[1]
        faster = math.ceil(LEAST_RATE / self.frame_rate - 1e-9)
        if faster > 1:
            pose = filled(pose, known, jnp.zeros_like(pose[:, :1]))  # a spline would ring
            pose = jnp.einsum("ut,btjx->bujx", spline(frames, 1, frames * faster, faster), pose)
            known = jnp.repeat(known, faster, 1)
        rate = self.frame_rate * faster
        layers = Mechanics(
            tuple(self.joints),
            rate=rate,
            muscle_rate=_MUSCLE_RATE if rate % _MUSCLE_RATE == 0 else rate,
            cutoff=self.cutoff,
            anatomy=self.anatomy,
            force_error=self.force_error,
            lever_error=self.lever_error,
            balanced=self.balanced,
            common_drive=self.common_drive,
        )
        batch = _with_masks(batch, len(pose), self.inputs)
        height, mass, held = body_and_load(batch)
        errors = train and (self.force_error or self.lever_error)
        solution = layers(
            pose * (height / HEIGHT)[:, None, None, None],
            known,
            height,
            mass,
            held,
            key=self.make_rng("dropout") if errors else None,
        )
        seconds = frames / self.frame_rate
        instants, samples = round(seconds * self.rate), round(seconds * self.emg_rate)
        near = layers.sample(solution.excitation, instants, self.rate)
        trusted = layers.sample(solution.known.astype(jnp.float32), samples, self.emg_rate)
        at_instants = layers.sample(solution.known.astype(jnp.float32), instants, self.rate)
        residual = layers.sample(solution.residual, instants, self.rate)
        return Prior(
            layers.sample(solution.excitation, samples, self.emg_rate),
            _features(near, residual, batch, np.array(_muscles(self.anatomy))),
            jnp.moveaxis((at_instants > 0.5).any(-1), 1, 2)[..., None],
            trusted > 0.5,
            layers.sample(solution.torque, samples, self.emg_rate, lead=0.0),
        )


class MechanicsOnly(nn.Module):
    """Mechanics as a Video→EMG model that is not trained; NaN where nothing is known.

    Attributes:
      prior: the mechanics.
    """

    prior: MechanicsPrior

    @nn.compact
    def __call__(
        self, batch: Mapping[str, jax.typing.ArrayLike], *, train: bool = False
    ) -> Outputs:
        """Predicts the EMG of the channels of a batch from its pose."""
        arrays = {name: jnp.asarray(value) for name, value in batch.items()}
        prior = self.prior(arrays["pose"], arrays["pose_mask"], arrays, train=train)
        values = jnp.where(prior.trusted, prior.excitation, jnp.nan)
        batch_row = jnp.arange(len(values))[:, None]
        emg = values[batch_row, :, arrays["side"], arrays["muscle"]]
        return Outputs(emg=jnp.moveaxis(emg, 1, 2))


def _with_masks(
    batch: Mapping[str, jax.Array], size: int, inputs: Sequence[str]
) -> dict[str, jax.Array]:
    """The fields about body and load; those that are not there or not told are masked."""
    widths = {"load": (), "height": (), "held": (len(PLACES),), "traits": (3,)}
    result = {}
    for name, width in widths.items():
        told = name in batch and name in inputs
        mask_width = width if name == "traits" else ()
        blank = jnp.zeros((size, *width)), jnp.zeros((size, *mask_width), bool)
        values = (batch[name], batch[f"{name}_mask"]) if told else blank
        result[name], result[f"{name}_mask"] = values
    return result


def body_and_load(
    batch: Mapping[str, jax.Array],
) -> tuple[Float[Array, " B"], Float[Array, " B"], Float[Array, "B 5"]]:
    """Height (m) and mass (kg) of the body, and the load at each place (kg).

    The height is that of the joints, else what was told, else `HEIGHT`. The mass is what was told,
    else that of an average build. The load is what was told, else typical of the equipment.
    """
    traits, known = batch["traits"], batch["traits_mask"]
    height = jnp.where(known[:, 0], traits[:, 0], HEIGHT)
    height = jnp.where(batch["height_mask"], batch["height"], height)
    height = jnp.clip(height, 1.2, 2.2)
    mass = jnp.where(known[:, 1], traits[:, 1], usual_mass(height))
    shares = jnp.where(batch["held_mask"][:, None], batch["held"], 0.0)
    single = shares.max(-1) < 0.75  # half of a barbell in each hand
    on_trunk = shares[:, 2:].any(-1)
    typical = jnp.where(single | on_trunk, TYPICAL_BARBELL, TYPICAL_DUMBBELL)
    load = jnp.where(batch["load_mask"], batch["load"], typical)
    return height, jnp.clip(mass, 30.0, 180.0), shares * load[:, None]


def start(excitation: Float[Array, "*A"], scale: Float[Array, ""]) -> Float[Array, "*A"]:
    """The value before the output `scale · softplus` that gives an excitation."""
    value = jnp.maximum(excitation, _LEAST) / scale
    return value + jnp.log(-jnp.expm1(-value))


def _features(
    excitation: jax.Array, residual: jax.Array, batch: Mapping[str, jax.Array], muscles: np.ndarray
) -> Float[Array, "B S I F"]:
    """Excitations of the own and of the other side, their logarithms, and how far to trust them."""
    values = jnp.moveaxis(excitation[..., muscles], 1, 2)
    both = jnp.concatenate([values, values[:, ::-1]], -1)
    shape = (*both.shape[:3], 1)
    told = jnp.stack([batch["load_mask"], batch["held_mask"]], -1).astype(jnp.float32)
    parts = [
        3 * both,
        jnp.log(both + 0.01) / 3 + 1,
        jnp.broadcast_to(jnp.minimum(10 * residual, 2.0)[:, None, :, None], shape),
        jnp.broadcast_to(told[:, None, None], (*shape[:3], 2)),
    ]
    return jnp.concatenate(parts, -1)


def _muscles(anatomy: str) -> list[int]:
    """Indices of the muscles that the anatomy knows."""
    electrodes = anatomies.load(anatomy).electrodes
    return [i for i, name in enumerate(vocabulary.MUSCLES) if name in electrodes]


def spline(count: int, rate: float, samples: int, sample_rate: float) -> Float[np.ndarray, "U T"]:
    """Weights of T = `count` values in U = `samples` at another rate.

    Cubic splines; after the last value it holds.
    """
    clock = np.minimum(np.arange(samples) * (rate / sample_rate), count - 1)
    return interpolate.CubicSpline(np.arange(count), np.eye(count))(clock).astype(np.float32)
