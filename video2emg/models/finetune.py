"""How much of a pretrained encoder is trained: nothing, low-rank updates (LoRA), or everything.

The choice depends on the paths of the parameters only, so it works for every encoder.
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax

from video2emg.core.config import Config
from video2emg.core.errors import UserError
from video2emg.models.import_weights import LAYOUTS, convert, read
from video2emg.parallel.mesh import path_name

MODES = ("frozen", "lora", "full")
# Statistics of pretraining (`models.published.layers.FrozenBatchNorm`), which are never trained.
STATISTICS = re.compile(r".*norm[^/]*/(mean|var)")
_BASE, _LORA = "base", "lora"

Params = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Finetune:
    """How the parameters of an encoder are trained.

    Attributes:
      mode: one of `MODES`.
      path: regular expression for the start of the paths of the encoder's parameters.
      rank: of LoRA (Hu et al. 2021).
      alpha: the update of LoRA is multiplied by alpha / rank.
      adapt: regular expression for a part of the paths of the kernels that LoRA updates.
      learning_rate: factor for the encoder's learning rate in mode `full`; FLEX uses 0.1.
    """

    mode: str = "full"
    path: str = "encoder/"
    rank: int = 8
    alpha: float = 16.0
    adapt: str = r"/(query|key|value|out)/kernel$"
    learning_rate: float = 1.0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UserError(f"finetune.mode: {self.mode!r} is not one of {', '.join(MODES)}")
        if self.rank < 1:
            raise UserError(f"finetune.rank: must be positive, not {self.rank}")
        for field in ("path", "adapt"):
            try:
                re.compile(getattr(self, field))
            except re.error as error:
                raise UserError(f"finetune.{field}: not a regular expression: {error}") from None


def optimiser(tx: optax.GradientTransformation, spec: Finetune) -> optax.GradientTransformation:
    """Applies `tx` to the trained parameters only; the others get no updates and no state.

    Args:
      tx: from `train.state.optimiser`.
      spec: what is trained.
    """
    slower = optax.chain(tx, optax.scale(spec.learning_rate))

    def labels(params: Params) -> Params:
        return jax.tree_util.tree_map_with_path(
            lambda path, _: _label(path_name(path), spec), params
        )

    return optax.partition({"train": tx, "encoder": slower, "frozen": optax.set_to_zero()}, labels)


def _label(name: str, spec: Finetune) -> str:
    if name.startswith(f"{_LORA}/"):
        return "train"
    name = name.removeprefix(f"{_BASE}/")
    if STATISTICS.fullmatch(name):
        return "frozen"
    if re.match(spec.path, name):
        return "encoder" if spec.mode == "full" else "frozen"
    return "train"


@dataclasses.dataclass(frozen=True)
class Adapted:
    """A model that starts from pretrained weights, with low-rank updates in mode `lora`.

    Has the methods `init` and `apply` of the model. In mode `lora` its parameters are `base`, those
    of the model, and `lora`, a pair of matrices per adapted kernel; their product is zero at first.

    Attributes:
      model: any Linen module.
      spec: which kernels are adapted, and how.
      weights: tensors of a file, None to start from random weights.
      layout: of the file, a key of `import_weights.LAYOUTS`.
      child: name of the submodule that the file is for.
    """

    model: nn.Module
    spec: Finetune
    weights: Mapping[str, np.ndarray] | None = None
    layout: str = ""
    child: str = "encoder"

    def init(self, rng: jax.Array, *args: Any, **kwargs: Any) -> dict[str, Params]:
        """Initialises the parameters.

        Raises:
          UserError: the weights do not fit, or no kernel matches.
        """
        base_rng, lora_rng = jax.random.split(rng)
        base = dict(self.model.init(base_rng, *args, **kwargs)["params"])  # pyright: ignore
        if self.weights is not None:
            if self.child not in base:
                raise UserError(
                    f"config.model.pretrained: the model has no {self.child!r}, only "
                    f"{', '.join(base)}"
                )
            layout = LAYOUTS[self.layout]
            params = convert(self.weights, layout, base[self.child], "config.model.pretrained")
            base[self.child] = jax.tree.map(jnp.asarray, params)
        return {"params": self.adapt(base, lora_rng) if self.spec.mode == "lora" else base}

    def adapt(self, base: Params, rng: jax.Array) -> Params:
        """Adds low-rank updates, zero at first, to parameters of the model.

        Raises:
          UserError: no kernel matches.
        """
        lora: Params = {}
        for i, (name, kernel) in enumerate(sorted(_flat(base).items())):
            if not self._adapts(name, kernel):
                continue
            inputs, outputs = _matrix(name, kernel.shape)
            first = jax.random.normal(jax.random.fold_in(rng, i), (inputs, self.spec.rank))
            lora[name] = {
                "a": first / inputs**0.5,
                "b": jnp.zeros((self.spec.rank, outputs)),
            }
        if not lora:
            raise UserError(
                f"finetune: no kernel of the model matches path {self.spec.path!r} and adapt "
                f"{self.spec.adapt!r}"
            )
        return {_BASE: base, _LORA: flax.traverse_util.unflatten_dict(lora, sep="/")}

    def _adapts(self, name: str, kernel: Any) -> bool:
        matches = re.match(self.spec.path, name) and re.search(self.spec.adapt, name)
        return bool(matches) and len(kernel.shape) > 1

    def effective(self, params: Mapping[str, Any]) -> Params:
        """Parameters of the model with the updates added, for inference."""
        flat = _flat(params[_BASE])
        lora = _flat(params[_LORA])
        for name in [name.removesuffix("/a") for name in lora if name.endswith("/a")]:
            update = (lora[f"{name}/a"] @ lora[f"{name}/b"]) * (self.spec.alpha / self.spec.rank)
            flat[name] = flat[name] + update.reshape(flat[name].shape).astype(flat[name].dtype)
        return flax.traverse_util.unflatten_dict(flat, sep="/")

    def apply(self, variables: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Applies the model with the updated kernels."""
        params = variables["params"]
        if self.spec.mode == "lora":
            params = self.effective(params)
        return self.model.apply({"params": params}, *args, **kwargs)


# A model that can be trained.
Model = nn.Module | Adapted


def plain(model: Model, params: Params) -> tuple[nn.Module, Params]:
    """The Flax module and its parameters, with low-rank updates added."""
    if not isinstance(model, Adapted):
        return model, params
    return model.model, model.effective(params) if model.spec.mode == "lora" else params


def from_config(config: Config, model: nn.Module) -> Model:
    """The model with pretrained weights and low-rank updates, if the configuration has them.

    Args:
      config: `config.model.pretrained`, if there, has `weights`, a file (empty: none), and
        `layout`; `config.train.finetune`, if there, has fields of `Finetune`.
      model: from `models.build`.

    Raises:
      UserError: an unknown field, or a file that cannot be read.
    """
    spec = settings(config.train)
    if "pretrained" not in config.model or not config.model.pretrained.weights:
        return Adapted(model, spec) if spec.mode == "lora" else model
    pretrained = config.model.pretrained
    if pretrained.layout not in LAYOUTS:
        raise UserError(
            f"config.model.pretrained.layout: {pretrained.layout!r} is not one of {sorted(LAYOUTS)}"
        )
    return Adapted(model, spec, read(pretrained.weights), pretrained.layout)


def settings(config: Config) -> Finetune:
    """`config.finetune` of `config.train`; without it, everything is trained.

    Raises:
      UserError: an unknown field.
    """
    fields = dict(config.finetune) if "finetune" in config else {}
    unknown = sorted(fields.keys() - {field.name for field in dataclasses.fields(Finetune)})
    if unknown:
        raise UserError(f"config.train.finetune: unknown fields {', '.join(unknown)}")
    return Finetune(**fields)


def _matrix(name: str, shape: tuple[int, ...]) -> tuple[int, int]:
    """Numbers of inputs and outputs of a kernel."""
    # Kernels of attention, [D, heads, D / heads], have one input axis.
    attention = len(shape) == 3 and re.search(r"(query|key|value)/kernel$", name)
    axes = 1 if attention else len(shape) - 1
    return math.prod(shape[:axes]), math.prod(shape[axes:])


def _flat(params: Params) -> dict[str, Any]:
    return flax.traverse_util.flatten_dict(params, sep="/")
