"""Imports a PyTorch model's weights into ours and compares outputs and gradients."""

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import torch

from video2emg.models.import_weights import LAYOUTS, convert

TOLERANCE = 1e-4
torch.set_num_threads(1)  # tests share their cores


def draw(*shape: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def as_torch(x: jax.Array) -> torch.Tensor:
    return torch.tensor(np.asarray(x))


def weights(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy() for name, value in module.state_dict().items()}


def imported(module: torch.nn.Module, layout: str, model, *args, **kwargs) -> dict:
    """Variables of `model` with the weights of `module`, by the tested import."""
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), *args, **kwargs))["params"]
    params = convert(weights(module), LAYOUTS[layout], shapes)
    return {"params": jax.tree.map(jnp.asarray, params)}


def close(ours, theirs: torch.Tensor) -> None:
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    scale = max(1.0, float(np.abs(theirs).max()))
    assert float(np.abs(theirs).max()) > 1e-2, "outputs of zero cannot be compared"
    np.testing.assert_allclose(np.asarray(ours) / scale, theirs / scale, atol=TOLERANCE, rtol=0)


def same_gradients(variables: dict, loss, module: torch.nn.Module, layout: str, total) -> None:
    """Checks that our `loss(variables)` has the gradient of PyTorch's scalar `total`."""
    module.zero_grad()
    total.backward()
    theirs = {}
    for name, value in module.state_dict(keep_vars=True).items():
        gradient = getattr(value, "grad", None)
        theirs[name] = np.zeros(value.shape) if gradient is None else gradient.numpy()
    expected = convert(theirs, LAYOUTS[layout], variables["params"])
    ours = jax.jit(jax.grad(loss))(variables)["params"]
    ours = flax.traverse_util.flatten_dict(ours, sep="/")
    size = max(float(jnp.abs(g).max()) for g in ours.values())
    assert size > 1e-3
    for name, gradient in flax.traverse_util.flatten_dict(expected, sep="/").items():
        np.testing.assert_allclose(ours[name] / size, gradient / size, atol=TOLERANCE, err_msg=name)
