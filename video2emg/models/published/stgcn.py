"""ST-GCN: spatial-temporal graph convolutions on a skeleton (Yan et al. 2018)."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from video2emg.core import vocabulary
from video2emg.models.blocks import Dtype
from video2emg.models.published.layers import FrozenBatchNorm

# Joint → the joints of FLEX's skeleton whose mean stands for it, in the order of NTU RGB+D's 25.
# NTU's thumbs and fingertips stand at the hands, as FLEX's code has it.
_SPINE = (0.5 * 0.5, 0.5 * 0.5, 0.5)
NTU_OF_FLEX: tuple[tuple[tuple[str, ...], tuple[float, ...]], ...] = (
    (("right_hip", "left_hip"), (0.5, 0.5)),
    (("right_hip", "left_hip", "chest"), _SPINE),
    *(
        ((name,), (1.0,))
        for name in (
            "neck", "head",
            "left_shoulder", "left_elbow", "left_wrist", "left_hand",
            "right_shoulder", "right_elbow", "right_wrist", "right_hand",
            "left_hip", "left_knee", "left_ankle",
        )
    ),
    (("left_heel", "left_toe"), (0.5, 0.5)),
    *(((name,), (1.0,)) for name in ("right_hip", "right_knee", "right_ankle")),
    (("right_heel", "right_toe"), (0.5, 0.5)),
    *(
        ((name,), (1.0,))
        for name in ("chest", "left_hand", "left_hand", "right_hand", "right_hand")
    ),
)  # fmt: skip

# Bones of NTU RGB+D's skeleton; the chest (20) is its centre.
NTU_EDGES = (
    (0, 1), (1, 20), (2, 20), (3, 2), (4, 20), (5, 4), (6, 5), (7, 6), (8, 20), (9, 8), (10, 9),
    (11, 10), (12, 0), (13, 12), (14, 13), (15, 14), (16, 0), (17, 16), (18, 17), (19, 18),
    (21, 22), (22, 7), (23, 24), (24, 11),
)  # fmt: skip
NTU_CENTRE = 20

# Channels of the ten layers, and the stride in time of each.
LAYERS = ((64, 1),) * 4 + ((128, 2), (128, 1), (128, 1), (256, 2), (256, 1), (256, 1))


def ntu_of_flex(pose: Float[Array, "*B 21 3"]) -> Float[Array, "*B 25 3"]:
    """FLEX's 21 joints as NTU RGB+D's 25."""
    weights = np.zeros((len(NTU_OF_FLEX), len(vocabulary.FLEX_21)), np.float32)
    for row, (names, shares) in enumerate(NTU_OF_FLEX):
        for name, share in zip(names, shares, strict=True):
            weights[row, vocabulary.FLEX_21.index(name)] = share
    return jnp.einsum("kj,...jc->...kc", weights, pose)


def normalise_skeleton(
    pose: Float[Array, "*B T 25 3"], per_frame: bool = False, epsilon: float = 1e-6
) -> Float[Array, "*B T 25 3"]:
    """Pelvis at the origin, pelvis to spine of length one.

    Args:
      pose: m, NTU RGB+D's joints.
      per_frame: FLEX's code centres and scales every frame by itself, which hides how deep a squat
        is and shakes all joints whenever one of two is inaccurate. By default the clip's mean
        position and mean length are used.
      epsilon: m, added to the length.
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
    """Who is averaged into whom, by partition strategy (Yan et al., section 3.3).

    Args:
      strategy: `uniform`, all neighbours alike (K = 1); `distance`, oneself, neighbours (2);
        `spatial`, oneself, neighbours farther from the centre, nearer ones (3); `spatial_1_hop`,
        the same as the authors' code has it, for which all joints more than one bone from the
        centre are equally far: their checkpoints were trained so.
      edges: bones.
      joints: J.
      centre: joint that the spatial strategy measures from.

    Returns:
      Entry [k, v, w] is the weight of joint v in the mean at joint w.

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
        nearer = hops[:, None] >= hops[None, :]  # the joint that is averaged into
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
      shortcut: whether the input is added.
      window: frames of the temporal kernel.
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
        """Features per quarter of the frames and joint; FLEX averages both away."""
        b, t, j, c = pose.shape
        # The original normalises each coordinate of each joint by itself.
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


class STGCNClassifier(nn.Module):
    """ST-GCN with its action head: `[B, T, J, 3]` → logits `[B, classes]`."""

    encoder: STGCN
    classes: int = 60

    @nn.compact
    def __call__(self, pose: Float[Array, "B T J 3"], *, train: bool = False) -> jax.Array:
        """Logits."""
        return nn.Dense(self.classes, name="logits")(self.encoder(pose, train=train).mean((1, 2)))
