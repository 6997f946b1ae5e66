"""ST-GCN: spatial-temporal graph convolutions on a skeleton (Yan et al. 2018)."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from video2emg.core import vocabulary
from video2emg.models.blocks import Dtype
from video2emg.models.published.layers import FrozenBatchNorm

# Each of NTU RGB+D's 25 joints, in NTU's order, as a weighted mean of joints of FLEX's skeleton. As
# in FLEX's code, thumbs and fingertips are at the hands.
_ONE_TO_ONE = (
    "neck head left_shoulder left_elbow left_wrist left_hand right_shoulder right_elbow "
    "right_wrist right_hand left_hip left_knee left_ankle"
)
NTU_OF_FLEX: tuple[dict[str, float], ...] = (
    {"right_hip": 0.5, "left_hip": 0.5},
    {"right_hip": 0.25, "left_hip": 0.25, "chest": 0.5},
    *({name: 1.0} for name in _ONE_TO_ONE.split()),
    {"left_heel": 0.5, "left_toe": 0.5},
    *({name: 1.0} for name in ("right_hip", "right_knee", "right_ankle")),
    {"right_heel": 0.5, "right_toe": 0.5},
    *({name: 1.0} for name in ("chest", "left_hand", "left_hand", "right_hand", "right_hand")),
)

# Bones of NTU RGB+D's skeleton as the parent of each joint; the root is the chest.
NTU_CENTRE = 20
_PARENT = (1, 20, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 20, 22, 7, 24, 11)
NTU_EDGES = tuple((i, parent) for i, parent in enumerate(_PARENT) if i != NTU_CENTRE)

# Channels of the ten layers, and the stride in time of each.
LAYERS = ((64, 1),) * 4 + ((128, 2), (128, 1), (128, 1), (256, 2), (256, 1), (256, 1))


def ntu_of_flex(pose: Float[Array, "*B 21 3"]) -> Float[Array, "*B 25 3"]:
    """FLEX's 21 joints as NTU RGB+D's 25."""
    weights = np.zeros((len(NTU_OF_FLEX), len(vocabulary.FLEX_21)), np.float32)
    for row, joints in enumerate(NTU_OF_FLEX):
        for name, weight in joints.items():
            weights[row, vocabulary.FLEX_21.index(name)] = weight
    return jnp.einsum("kj,...jc->...kc", weights, pose)


def normalise_skeleton(
    pose: Float[Array, "*B T 25 3"], per_frame: bool = False, epsilon: float = 1e-6
) -> Float[Array, "*B T 25 3"]:
    """Moves the pelvis to the origin and scales the distance from pelvis to spine to one.

    Args:
      pose: NTU RGB+D's joints, m.
      per_frame: centre and scale each frame separately, as FLEX's code does. This hides the depth
        of a squat, and errors of the two joints move all others. By default the mean position and
        mean length over the clip are used.
      epsilon: added to the length, m.
    """
    pelvis = pose[..., :1, :]
    length = jnp.linalg.norm(pose[..., 1:2, :] - pelvis, axis=-1, keepdims=True)
    if not per_frame:
        pelvis, length = pelvis.mean(-3, keepdims=True), length.mean(-3, keepdims=True)
    return (pose - pelvis) / (length + epsilon)


def adjacency(
    strategy: str = "uniform",
    edges: Sequence[tuple[int, int]] = NTU_EDGES,
    joints: int = 25,
    centre: int = NTU_CENTRE,
) -> Float[np.ndarray, "K J J"]:
    """Adjacency matrices of a partition strategy (Yan et al., section 3.3).

    Args:
      strategy: `uniform`, a joint and its neighbours together (K = 1); `distance`, the joint
        itself, its neighbours (2); `spatial`, the joint itself, neighbours farther from the centre,
        nearer neighbours (3); `spatial_1_hop`, as the authors' code computes `spatial`, where all
        joints more than one bone from the centre are equally far. Their checkpoints need it.
      edges: bones, pairs of joints.
      joints: J.
      centre: joint from which the spatial strategy measures distances.

    Returns:
      Entry [k, v, w] is the weight of joint v in the mean at joint w, in part k.

    Raises:
      ValueError: an unknown strategy.
    """
    near = np.eye(joints)
    for a, b in edges:
        near[a, b] = near[b, a] = 1
    mean = near / near.sum(0)
    if strategy == "uniform":
        return mean[None].astype(np.float32)
    if strategy == "distance":
        own = mean * np.eye(joints)
        return np.stack([own, mean - own]).astype(np.float32)
    if strategy in ("spatial", "spatial_1_hop"):
        hops = _hops(near, centre)
        if strategy == "spatial_1_hop":
            hops = np.where(hops > 1, np.inf, hops)
        own = mean * np.eye(joints)
        nearer = hops[:, None] >= hops[None, :]  # the target joint is nearer to the centre
        return np.stack([own, (mean - own) * nearer, (mean - own) * ~nearer]).astype(np.float32)
    raise ValueError(f"unknown partition strategy {strategy!r}")


def _hops(near: np.ndarray, centre: int) -> Float[np.ndarray, " J"]:
    """Bones between each joint and the centre."""
    hops = np.full(len(near), np.inf)
    reached = np.arange(len(near)) == centre
    for step in range(len(near)):
        hops[reached & np.isinf(hops)] = step
        reached = near[reached].any(0)
    return hops


class Layer(nn.Module):
    """Graph convolution over joints, convolution over time, shortcut; `[B, T, J, C]`.

    Attributes:
      features: channels.
      strategy: of `adjacency`.
      stride: in time.
      shortcut: whether there is a residual connection.
      window: size of the temporal kernel, frames.
      dropout: rate.
    """

    features: int
    strategy: str = "uniform"
    stride: int = 1
    shortcut: bool = True
    window: int = 9
    dropout: float = 0.0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B T J C"], *, train: bool) -> Float[Array, "B T2 J D"]:
        """Applies the layer."""
        b, t, j, c = x.shape
        mean = adjacency(self.strategy)
        k = len(mean)

        def norm(name: str) -> FrozenBatchNorm:
            return FrozenBatchNorm(dtype=self.dtype, name=name)

        importance = self.param("importance", nn.initializers.ones, mean.shape)
        graph = (importance * mean).astype(self.dtype)
        y = nn.Dense(k * self.features, dtype=self.dtype, name="joints")(x)
        y = jnp.einsum("btvkd,kvw->btwd", y.reshape(b, t, j, k, self.features), graph)
        y = nn.relu(norm("joints_norm")(y))
        pad = (self.window - 1) // 2
        y = nn.Conv(
            self.features,
            (self.window, 1),
            (self.stride, 1),
            padding=((pad, pad), (0, 0)),
            dtype=self.dtype,
            name="time",
        )(y)
        y = nn.Dropout(self.dropout, deterministic=not train)(norm("time_norm")(y))
        if self.shortcut and (c, self.stride) == (self.features, 1):
            y = y + x
        elif self.shortcut:
            skipped = nn.Dense(self.features, dtype=self.dtype, name="skip")(x[:, :: self.stride])
            y = y + norm("skip_norm")(skipped)
        return nn.relu(y)


class STGCN(nn.Module):
    """The ten layers: `[B, T, J, 3]` → features `[B, T / 4, J, 256]`.

    Attributes:
      strategy: of `adjacency`; FLEX uses `uniform`, Yan et al. recommend `spatial`.
      narrow: divides the number of channels, for tests.
      layers: channels and stride of each layer.
      dropout: rate.
    """

    strategy: str = "uniform"
    narrow: int = 1
    layers: Sequence[tuple[int, int]] = LAYERS
    dropout: float = 0.0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, pose: Float[Array, "B T J 3"], *, train: bool = False
    ) -> Float[Array, "B T4 J D"]:
        """Features per joint and four frames; FLEX averages over both."""
        b, t, j, c = pose.shape
        # As in the original, each coordinate of each joint is normalised separately.
        x = FrozenBatchNorm(name="norm")(pose.reshape(b, t, j * c)).reshape(pose.shape)
        x = x.astype(self.dtype)
        for i, (width, stride) in enumerate(self.layers):
            layer = Layer(
                width // self.narrow,
                self.strategy,
                stride,
                shortcut=i > 0,
                dropout=self.dropout if i else 0.0,
                dtype=self.dtype,
                name=f"layer_{i}",
            )
            x = layer(x, train=train)
        return x
