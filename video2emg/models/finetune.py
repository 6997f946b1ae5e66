"""How much of a pretrained encoder is trained: nothing, low-rank changes (LoRA), or all.

All three are decided by the path of a parameter and know nothing of the modules, so that they work
for every encoder.
"""

import dataclasses
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

MODES = ("frozen", "lora", "full")
# Statistics of pretraining (`models.published.layers.FrozenBatchNorm`): never trained.
STATISTICS = re.compile(r".*norm[^/]*/(mean|var)")
_BASE, _LORA = "base", "lora"

Params = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Finetune:
    """What happens to the parameters of an encoder.

    Attributes:
      mode: of `MODES`.
      path: regular expression that the paths of the encoder's parameters match from the start.
      rank: of LoRA (Hu et al. 2021).
      alpha: LoRA's change is multiplied by alpha / rank.
      adapt: regular expression of the kernels that LoRA changes, matched within the path.
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
    """`tx` for what is trained; the rest never moves and has no state.

    Args:
      tx: from `train.state.optimiser`.
      spec: what is trained.
    """
    slower = optax.chain(tx, optax.scale(spec.learning_rate))

    def labels(params: Params) -> Params:
        return _by_path(params, lambda name: _label(name, spec))

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
    """A model that starts from somebody's weights, with low-rank changes in mode `lora`.

    Has `init` and `apply` as the model has. In mode `lora` its parameters are `base`, the model's
    own, and `lora`, a pair of matrices per changed kernel, whose product is zero at first.

    Attributes:
      model: any Linen module.
      spec: which kernels are changed, and how.
      weights: tensors of a published file, None to start from nothing.
      layout: of `import_weights.LAYOUTS`, that of the file.
      child: the child of the model that the file is for.
    """

    model: nn.Module
    spec: Finetune
    weights: Mapping[str, np.ndarray] | None = None
    layout: str = ""
    child: str = "encoder"

    def init(self, rng: jax.Array, *args: Any, **kwargs: Any) -> dict[str, Params]:
        """Parameters of the model and its changes.

        Raises:
          UserError: weights that do not fit, or no kernel matches.
        """
        base_rng, lora_rng = jax.random.split(rng)
        base = dict(self.model.init(base_rng, *args, **kwargs)["params"])  # pyright: ignore
        if self.weights is not None:
            if self.child not in base:
                raise UserError(f"config.model.pretrained: the model has no {self.child!r}, only "
                                f"{', '.join(base)}")  # fmt: skip
            layout = LAYOUTS[self.layout]
            found = convert(self.weights, layout, base[self.child], "config.model.pretrained")
            base[self.child] = jax.tree.map(jnp.asarray, found)
        return {"params": self.adapt(base, lora_rng) if self.spec.mode == "lora" else base}

    def adapt(self, base: Params, rng: jax.Array) -> Params:
        """Adds zero changes to parameters of the model.

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
        """Parameters of the model with the changes added: what inference needs."""
        flat = _flat(params[_BASE])
        thin = _flat(params[_LORA])
        for name in [name.removesuffix("/a") for name in thin if name.endswith("/a")]:
            change = (thin[f"{name}/a"] @ thin[f"{name}/b"]) * (self.spec.alpha / self.spec.rank)
            flat[name] = flat[name] + change.reshape(flat[name].shape).astype(flat[name].dtype)
        return flax.traverse_util.unflatten_dict(flat, sep="/")

    def apply(self, variables: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The model with the changed kernels."""
        params = variables["params"]
        if self.spec.mode == "lora":
            params = self.effective(params)
        return self.model.apply({"params": params}, *args, **kwargs)


# What can be trained.
Model = nn.Module | Adapted


def plain(model: Model, params: Params) -> tuple[nn.Module, Params]:
    """The module and its parameters, without what finetuning put around them."""
    if not isinstance(model, Adapted):
        return model, params
    return model.model, model.effective(params) if model.spec.mode == "lora" else params


def from_config(config: Config, model: nn.Module) -> Model:
    """The model as `config.model.pretrained` and `config.train.finetune` want it, if there are any.

    Args:
      config: `pretrained` has `weights`, a file (empty: none), and `layout`; `finetune` has the
        fields of `Finetune`.
      model: from `models.build`.

    Raises:
      UserError: an unknown field, or a file that cannot be read.
    """
    pretrained, spec = config.model.get("pretrained"), settings(config.train)
    if not pretrained or not pretrained.weights:
        return Adapted(model, spec) if spec.mode == "lora" else model
    if pretrained.layout not in LAYOUTS:
        raise UserError(f"config.model.pretrained.layout: {pretrained.layout!r} is not one of "
                        f"{sorted(LAYOUTS)}")  # fmt: skip
    return Adapted(model, spec, read(pretrained.weights), pretrained.layout)


def settings(config: Config) -> Finetune:
    """`config.finetune` (of `config.train`); everything is trained if there is none.

    Raises:
      UserError: an unknown field.
    """
    fields = dict(config.get("finetune") or {})
    unknown = sorted(fields.keys() - {field.name for field in dataclasses.fields(Finetune)})
    if unknown:
        raise UserError(f"config.train.finetune: unknown fields {', '.join(unknown)}")
    return Finetune(**fields)


def _matrix(name: str, shape: tuple[int, ...]) -> tuple[int, int]:
    """Inputs and outputs of a kernel: [D, heads, D / heads] of attention has one input axis."""
    one = len(shape) == 3 and re.search(r"(query|key|value)/kernel$", name)
    split = 1 if one else len(shape) - 1
    inputs, outputs = 1, 1
    for i, size in enumerate(shape):
        inputs, outputs = (inputs * size, outputs) if i < split else (inputs, outputs * size)
    return inputs, outputs


def _flat(params: Params) -> dict[str, Any]:
    return flax.traverse_util.flatten_dict(params, sep="/")


def _by_path(params: Params, choose: Any) -> Params:
    def name(path: tuple[Any, ...]) -> str:
        return "/".join(str(part.key) for part in path)

    return jax.tree_util.tree_map_with_path(lambda path, _: choose(name(path)), params)
