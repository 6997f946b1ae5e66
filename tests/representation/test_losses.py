"""InfoNCE as PyTorch has it, on one device and on eight; losses of masked samples."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
import torch
from jax.sharding import Mesh

from video2emg.models.outputs import Outputs
from video2emg.parallel import mesh as mesh_lib
from video2emg.representation import losses as ours_lib
from video2emg.representation.losses import representation_losses
from video2emg.representation.model import RepresentationOutputs


def info_nce(video, emg, scale, measured, clip):
    return ours_lib.info_nce(*map(jnp.asarray, (video, emg, scale, measured, clip)))


def reconstruction_losses(outputs, batch):
    return ours_lib.reconstruction_losses(outputs, {k: jnp.asarray(x) for k, x in batch.items()})


def unit(rng, shape=(8, 5)):
    x = rng.normal(size=shape)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def vectors():
    rng = np.random.default_rng(0)
    return unit(rng), unit(rng)


def by_torch(video, emg, scale):
    logits = scale * torch.tensor(video) @ torch.tensor(emg).T
    target = torch.arange(len(video))
    entropy = torch.nn.functional.cross_entropy
    return float(0.5 * (entropy(logits, target) + entropy(logits.T, target)))


@pytest.mark.parametrize("scale", [1.0, 14.3, 100.0])
def test_the_same_as_cross_entropy_in_torch(vectors, scale):
    ours = info_nce(*vectors, scale, np.ones(8, bool), np.arange(8))
    assert float(ours) == pytest.approx(by_torch(*vectors, scale), rel=1e-5)


def test_windows_without_emg_take_no_part(vectors):
    measured = np.array([1, 1, 0, 1, 1, 0, 1, 1], bool)
    ours = info_nce(*vectors, 14.3, measured, np.arange(8))
    expected = by_torch(*(x[measured] for x in vectors), 14.3)
    assert float(ours) == pytest.approx(expected, rel=1e-5)
    assert float(info_nce(*vectors, 14.3, np.zeros(8, bool), np.arange(8))) == 0


def test_another_window_of_the_same_recording_is_no_negative(vectors):
    clip = np.array([0, 0, 2, 3, 4, 5, 6, 7])
    ours = float(info_nce(*vectors, 14.3, np.ones(8, bool), clip))
    logits = 14.3 * vectors[0] @ vectors[1].T
    total = 0.0
    for table in (logits, logits.T):
        for i in range(8):
            others = [j for j in range(8) if j == i or clip[j] != clip[i]]
            total += np.log(np.exp(table[i, others]).sum()) - table[i, i]
    assert ours == pytest.approx(total / 16, rel=1e-5)
    slope = jax.grad(lambda v: info_nce(v, vectors[1], 14.3, np.ones(8, bool), clip))(vectors[0])
    assert np.isfinite(slope).all() and np.abs(slope).max() > 0


def test_a_batch_on_eight_devices_has_all_negatives(vectors):
    """Loss and slopes are those of one device: negatives come from the whole batch."""
    rng = np.random.default_rng(1)
    args = (*[unit(rng, (16, 5)) for _ in range(2)], 14.3, rng.random(16) > 0.2, np.arange(16) // 2)
    both = jax.value_and_grad(info_nce, (0, 1))
    alone = both(*args)
    mesh = Mesh(np.array(jax.devices()).reshape(4, 2), mesh_lib.AXES)
    where = mesh_lib.batch_sharding(mesh)
    spread = [x if isinstance(x, float) else jax.device_put(x, where) for x in args]
    together = jax.jit(both)(*spread)
    assert len(spread[0].sharding.device_set) == 8
    for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(together), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    parts = [
        info_nce(*[x if isinstance(x, float) else x[i : i + 2] for x in args])
        for i in range(0, 16, 2)
    ]
    assert float(alone[0]) > np.mean(parts) + 0.5


def reconstruction(seed=0):
    rng = np.random.default_rng(seed)
    masked = rng.random((3, 4)) > 0.4
    batch = {
        "emg": rng.random((3, 20, 2)).astype(np.float32),
        "emg_mask": rng.random((3, 20, 2)) > 0.3,
        "pose": rng.normal(size=(3, 8, 5, 3)).astype(np.float32),
        "pose_mask": rng.random((3, 8, 5)) > 0.3,
        "index": np.arange(3),
    }
    outputs = RepresentationOutputs(
        main=Outputs(emg=jnp.asarray(batch["emg"])),
        masked=jnp.asarray(masked),
        reconstructed_emg=jnp.asarray(rng.random((3, 20, 2)), jnp.float32),
        reconstructed_pose=jnp.asarray(rng.normal(size=(3, 8, 5, 3)), jnp.float32),
    )
    return outputs, batch, masked


def test_losses_are_means_over_samples_that_were_masked_and_are_known():
    outputs, batch, masked = reconstruction()
    losses = reconstruction_losses(outputs, batch)
    emg, pose = np.asarray(outputs.reconstructed_emg), np.asarray(outputs.reconstructed_pose)
    emg_errors, pose_errors = [], []
    for b, n, m in np.ndindex(3, 20, 2):
        if masked[b, n // 5] and batch["emg_mask"][b, n, m]:
            emg_errors.append(float(emg[b, n, m] - batch["emg"][b, n, m]) ** 2)
    for b, f, j in np.ndindex(3, 8, 5):
        if masked[b, f // 2] and batch["pose_mask"][b, f, j]:
            gap = pose[b, f, j] - batch["pose"][b, f, j]
            pose_errors.append(float((gap**2).mean()) / 0.01)
    assert float(losses["masked_emg"]) == pytest.approx(np.mean(emg_errors), rel=1e-5)
    assert float(losses["masked_pose"]) == pytest.approx(np.mean(pose_errors), rel=1e-5)


def test_unmasked_samples_have_no_gradient():
    outputs, batch, masked = reconstruction()

    def total(emg):
        return reconstruction_losses(outputs.replace(reconstructed_emg=emg), batch)["masked_emg"]

    gradient = np.asarray(jax.grad(total)(outputs.reconstructed_emg))
    counted = np.repeat(masked, 5, 1)[..., None] & batch["emg_mask"]
    assert (gradient[~counted] == 0).all() and (gradient[counted] != 0).all()
    nothing = batch | {"emg_mask": np.zeros((3, 20, 2), bool)}
    assert float(reconstruction_losses(outputs, nothing)["masked_emg"]) == 0


def test_the_total_is_the_mix_of_the_weights(vectors):
    outputs, batch, _ = reconstruction()
    video, emg = (jnp.asarray(x[:3]) for x in vectors)
    outputs = outputs.replace(video=video, emg=emg, scale=jnp.full(3, 2.0))
    outputs = outputs.replace(main=Outputs(emg=outputs.main.emg + 0.5))
    weights = ml_collections.ConfigDict(
        dict(
            emg=2.0,
            pose=0.0,
            torque=0.0,
            load=0.0,
            contrastive=3.0,
            masked_emg=5.0,
            masked_pose=7.0,
        )
    )
    total, parts = representation_losses(
        outputs, {k: jnp.asarray(x) for k, x in batch.items()}, weights
    )
    assert set(parts) == {"emg", "contrastive", "masked_emg", "masked_pose"}
    assert float(parts["emg"]) == pytest.approx(0.25, rel=1e-5)
    expected = sum(weights[name] * float(value) for name, value in parts.items())
    assert float(total) == pytest.approx(expected, rel=1e-5)
