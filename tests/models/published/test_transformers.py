"""ViT and VideoMAE against `transformers`, through files that it wrote; VideoPrism by its parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import transformers
from torch.nn import functional as F

from tests.models.published.parity import as_torch, close, draw, imported, same_gradients
from video2emg.models import import_weights
from video2emg.models.published import positions, videoprism, vit

SHAPE = dict(dim=24, layers=2, heads=3, hidden=40, patch=8)
THEIRS = dict(
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=40,
    patch_size=8,
    image_size=16,
    attn_implementation="eager",
)


def randomise(model):
    """Large random weights: with the usual small ones, errors would not show."""
    torch.manual_seed(0)
    with torch.no_grad():
        for value in model.parameters():
            value.normal_(0, 0.3)
    return model.eval()


def shapes(model, *args):
    return jax.eval_shape(lambda: model.init(jax.random.key(0), *args, method="tokens"))["params"]


def saved(model, folder, layout, ours, *args):
    model.save_pretrained(folder)
    params = import_weights.load(folder / "model.safetensors", layout, shapes(ours, *args))
    return {"params": jax.tree.map(jnp.asarray, params)}


@pytest.mark.parametrize("pooled", [True, False])
def test_videomae(tmp_path, pooled):
    config = transformers.VideoMAEConfig(**THEIRS, num_frames=4, use_mean_pooling=pooled)
    theirs = randomise(transformers.VideoMAEModel(config))
    ours = vit.VideoMAE(**SHAPE, grid=(2, 2, 2), final_norm=not pooled)
    video = draw(2, 4, 16, 16, 3)
    variables = saved(theirs, tmp_path, "videomae", ours, video)
    expected = theirs(as_torch(video).permute(0, 1, 4, 2, 3)).last_hidden_state
    got = jax.jit(lambda v: ours.apply(v, video, method="tokens"))(variables)
    close(got.reshape(2, 8, 24), expected)


def test_videomae_classifier_and_pretraining_files_fit_too(tmp_path):
    config = transformers.VideoMAEConfig(
        **THEIRS,
        num_frames=4,
        decoder_hidden_size=24,
        decoder_num_attention_heads=3,
        decoder_num_hidden_layers=1,
    )
    ours, video = vit.VideoMAE(**SHAPE, grid=(2, 2, 2)), draw(1, 4, 16, 16, 3)
    for kind in (transformers.VideoMAEForVideoClassification, transformers.VideoMAEForPreTraining):
        saved(randomise(kind(config)), tmp_path, "videomae", ours, video)


def test_vit_at_its_own_size_and_at_another(tmp_path):
    theirs = randomise(transformers.ViTModel(transformers.ViTConfig(**THEIRS)))
    ours = vit.ViT(**SHAPE, grid=(2, 2))
    variables = saved(theirs, tmp_path, "vit", ours, draw(1, 16, 16, 3))
    apply = jax.jit(lambda v, x: ours.apply(v, x, method="tokens"))
    for size in (16, 40):
        images = draw(2, size, size, 3)
        expected = theirs(
            as_torch(images).permute(0, 3, 1, 2), interpolate_pos_encoding=True
        ).last_hidden_state
        close(apply(variables, images), expected)


@pytest.mark.parametrize("kind", [transformers.ViTModel, transformers.ViTForImageClassification])
def test_the_state_of_a_vit_fits_as_its_file_does(tmp_path, kind):
    """Files that `torch.save` wrote have the names of the modules, which transformers 5 changed."""
    theirs = randomise(kind(transformers.ViTConfig(**THEIRS)))
    ours, images = vit.ViT(**SHAPE, grid=(2, 2)), draw(2, 16, 16, 3)
    of_file = saved(theirs, tmp_path, "vit", ours, images[:1])
    of_state = imported(theirs, "vit", ours, images[:1], method="tokens")
    jax.tree.map(np.testing.assert_array_equal, of_file, of_state)


def test_gradients_of_videomae():
    config = transformers.VideoMAEConfig(**THEIRS, num_frames=4)
    theirs = randomise(transformers.VideoMAEModel(config))
    ours, video = vit.VideoMAE(**SHAPE, grid=(2, 2, 2)), draw(1, 4, 16, 16, 3)
    variables = imported(theirs, "videomae", ours, video, method="tokens")
    expected = theirs(as_torch(video).permute(0, 1, 4, 2, 3)).last_hidden_state
    same_gradients(
        variables,
        lambda v: jnp.square(ours.apply(v, video, method="tokens")).mean(),
        theirs,
        "videomae",
        expected.square().mean(),
    )


def published_videoprism(rng, spatial, temporal, dim=24, heads=3, hidden=40, patch=8):
    """Random tensors with the names and shapes of the published npz, with stacked layers."""

    def normal(*shape):
        return rng.normal(0, 0.3, shape).astype(np.float32)

    tensors = {
        "params/patch_projection/linear/kernel": normal(patch * patch * 3, dim),
        "params/patch_projection/linear/bias": normal(dim),
        "params/spatial_pos_emb/emb_var": normal(4, dim),
        "params/temporal_pos_emb/emb_var": normal(4, dim),
    }
    for name, count in (("spatial", spatial), ("temporal", temporal)):
        layers = f"params/{name}_encoder/transformers_stack/x_layers"
        for part in ("query", "key", "value", "post"):
            tensors[f"{layers}/self_attention/{part}/w"] = normal(count, dim, heads, dim // heads)
            bias = (dim,) if part == "post" else (heads, dim // heads)
            tensors[f"{layers}/self_attention/{part}/b"] = normal(count, *bias)
        for norm in (f"{layers}/layer_norm", f"{layers}/ff_layer/layer_norm"):
            tensors |= {f"{norm}/{leaf}": normal(count, dim) for leaf in ("scale", "bias")}
        for part, inputs, outputs in (("ffn_layer1", dim, hidden), ("ffn_layer2", hidden, dim)):
            tensors[f"{layers}/ff_layer/{part}/linear/kernel"] = normal(count, inputs, outputs)
            tensors[f"{layers}/ff_layer/{part}/linear/bias"] = normal(count, outputs)
        tensors |= {f"params/{name}_ln/{leaf}": normal(dim) for leaf in ("scale", "bias")}
    return tensors


def videoprism_in_torch(tensors, video, patch=8, cap=50.0):
    """Tokens [B, T, H, W, D] at the pretraining grid, from the published tensors."""
    p = {name.removeprefix("params/"): torch.tensor(v) for name, v in tensors.items()}

    def norm(x, at, i=slice(None)):
        scale, bias = p[f"{at}/scale"][i], p[f"{at}/bias"][i]
        return F.layer_norm(x, x.shape[-1:], 1 + scale, bias, 1e-6)

    def stack(x, name):
        at = f"{name}_encoder/transformers_stack/x_layers"
        for i in range(len(p[f"{at}/layer_norm/scale"])):
            y = norm(x, f"{at}/layer_norm", i)
            q, k, v = (
                torch.einsum("btd,dnh->bnth", y, p[f"{at}/self_attention/{part}/w"][i])
                + p[f"{at}/self_attention/{part}/b"][i][:, None]
                for part in ("query", "key", "value")
            )
            logits = cap * torch.tanh(q @ k.transpose(2, 3) / q.shape[-1] ** 0.5 / cap)
            mixed = torch.einsum(
                "bnth,dnh->btd", logits.softmax(-1) @ v, p[f"{at}/self_attention/post/w"][i]
            )
            x = x + mixed + p[f"{at}/self_attention/post/b"][i]
            y = norm(x, f"{at}/ff_layer/layer_norm", i)
            for part in ("ffn_layer1", "ffn_layer2"):
                y = y @ p[f"{at}/ff_layer/{part}/linear/kernel"][i]
                y = y + p[f"{at}/ff_layer/{part}/linear/bias"][i]
                y = F.gelu(y) if part == "ffn_layer1" else y
            x = x + y
        return norm(x, f"{name}_ln")

    b, t, s, _, c = video.shape
    g = s // patch
    x = video.reshape(b * t, g, patch, g, patch, c).permute(0, 1, 3, 2, 4, 5)
    x = x.reshape(b * t, g * g, -1) @ p["patch_projection/linear/kernel"]
    x = x + p["patch_projection/linear/bias"] + p["spatial_pos_emb/emb_var"]
    x = stack(x, "spatial").reshape(b, t, g * g, -1).transpose(1, 2).reshape(b * g * g, t, -1)
    x = stack(x + p["temporal_pos_emb/emb_var"], "temporal")
    return x.reshape(b, g, g, t, -1).permute(0, 3, 1, 2, 4)


def test_videoprism(tmp_path):
    tensors = published_videoprism(np.random.default_rng(0), 2, 1)
    np.savez(tmp_path / "flax.npz", **tensors)
    ours = videoprism.VideoPrism(
        dim=24, heads=3, hidden=40, spatial=2, temporal=1, patch=8, grid=(4, 2, 2)
    )
    video = draw(2, 4, 16, 16, 3)
    params = import_weights.load(tmp_path / "flax.npz", "videoprism", shapes(ours, video))
    got = jax.jit(lambda v: ours.apply(v, video, method="tokens"))({"params": params})
    close(got, videoprism_in_torch(tensors, as_torch(video)))


@pytest.mark.parametrize("method, mode", [("linear", "bilinear"), ("cubic", "bicubic")])
@pytest.mark.parametrize("shape", [(7, 3), (4, 5), (2, 9)])
def test_positions_are_resampled_as_pytorch_does(method, mode, shape):
    table = draw(4, 5, 6)
    expected = F.interpolate(as_torch(table).permute(2, 0, 1)[None], shape, mode=mode)
    close(positions.resize(table, shape, method), expected[0].permute(1, 2, 0))


def test_positions_of_another_rank():
    with pytest.raises(ValueError, match="cannot become"):
        positions.resize(draw(2, 2, 3), (2, 2, 2))
    with pytest.raises(ValueError, match="magic"):
        positions.resize(draw(2, 3), (4,), "magic")
