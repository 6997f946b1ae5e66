import functools

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from tests.fkg.rubrics import rubric
from tests.models.small import SHAPE
from tests.models.small import batch as video_batch
from tests.models.small import config as model_config
from video2emg import models
from video2emg.aqa import head as head_lib
from video2emg.aqa.losses import aqa_losses, asymmetric_bce
from video2emg.fkg.scoring import compositional_score

B, V, T, N, M, D = 3, 2, 5, 50, 2, 16


def make_head(**changes):
    fields = dict(
        rubric=rubric(),
        log_odds=((-2.0, -1.0, -1.0), (-2.0, -9.0, -9.0)),
        score="errors",
        action="given",
        dim=8,
        heads=2,
        layers=1,
        dropout=0.0,
        instants=4,
        width=4,
        rate=5.0,
        views=V,
        emg=True,
        phase_samples=2,
    )
    return head_lib.AQAHead(**fields | changes)


def make_inputs(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "tokens": rng.normal(size=(B, V * T, D)).astype(np.float32),
        "token_mask": np.ones((B, V * T), bool),
        "view": np.tile(np.arange(V, dtype=np.int32), (B, 1)),
        "activity": rng.random((B, N, M)).astype(np.float32),
        "activity_mask": np.ones((B, N, M), bool),
        "muscle": np.zeros((B, M), np.int32),
        "side": np.tile(np.arange(M, dtype=np.int32), (B, 1)),
        "action": np.array([0, 1, 0], np.int32),
        "score": np.array([80, 90, 70], np.float32),
    }


def with_exemplar(inputs):
    return inputs | {head_lib.EXEMPLAR + k: v for k, v in make_inputs(7).items()}


@functools.cache
def compiled(model, **kwargs):
    return jax.jit(lambda params, inputs: model.apply(params, inputs, **kwargs)[0])


def apply(model, params, inputs):
    return compiled(model, train=False)(params, inputs)


@functools.cache
def initial(model):
    return jax.jit(lambda inputs: model.init(jax.random.key(0), inputs, train=False))


def random_params(model, inputs):
    """Parameters without the zeros of the initial outputs, so that everything has an effect."""
    rng = np.random.default_rng(1)
    return jax.tree.map(
        lambda x: np.asarray(x) + 0.3 * rng.normal(size=x.shape).astype(np.float32),
        initial(model)(inputs),
    )


def targets():
    return {
        "action": jnp.array([0, 1, 0]),
        "severity": jnp.array([[0.5, 0, 0], [0.0, 0, 0], [0, 0.7, 0]]),
        "error_mask": jnp.array([[True] * 3, [True, False, False], [True] * 3]),
        "score": jnp.array([80.0, 90.0, 70.0]),
        "score_mask": jnp.array([True, True, False]),
        "phase": jnp.zeros((B, 2 * T), jnp.int32),
        "phase_mask": jnp.ones((B, 2 * T), bool),
    }


def weights(**asymmetric):
    return ml_collections.ConfigDict(
        dict(
            error=1.0,
            severity=1.0,
            score=1.0,
            phase=1.0,
            action=1.0,
            video=1.0,
            video_parts=dict(emg=1.0, pose=1.0, torque=1.0, load=1.0),
            asymmetric=asymmetric,
        )
    )


@pytest.mark.parametrize("score", head_lib.SCORES)
def test_every_kind_of_score_learns_from_all_inputs(score):
    inputs = with_exemplar(make_inputs()) if score == "relative" else make_inputs()
    head = make_head(score=score)
    params = random_params(head, inputs)

    def total(params, inputs):
        out, _ = head.apply(params, inputs, train=True)
        return aqa_losses(out, targets(), weights())[0]

    out = apply(head, params, inputs)
    assert out.error_logits.shape == (B, 3) and out.phase_logits.shape == (B, 2 * T, 3)
    assert ((out.score >= 0) & (out.score <= 100)).all()
    floats = {k: v for k, v in inputs.items() if k in ("tokens", "activity")}
    rest = {k: v for k, v in inputs.items() if k not in floats}
    both = jax.grad(lambda p, f: total(p, f | rest), argnums=(0, 1))
    grads, input_grads = jax.jit(both)(params, floats)
    without = [
        jax.tree_util.keystr(path)
        for path, g in jax.tree_util.tree_leaves_with_path(grads)
        if not jnp.any(g != 0)
    ]
    assert not [name for name in without if "'bias'" not in name], without
    assert all(jnp.any(g != 0) for g in input_grads.values())


def test_a_fresh_head_predicts_the_prevalence():
    head, inputs = make_head(), make_inputs()
    params = initial(head)(inputs)
    out = apply(head, params, inputs)
    expected = np.array(head.log_odds)[inputs["action"]]
    np.testing.assert_allclose(out.error_logits, expected, atol=1e-6)


@pytest.mark.parametrize(
    "hidden, field", [(dict(emg=False), "activity"), (dict(views=0), "tokens")]
)
def test_hidden_inputs_change_nothing(hidden, field):
    head, inputs = make_head(**hidden), make_inputs()
    params = random_params(head, inputs)
    first = apply(head, params, inputs)
    second = apply(head, params, inputs | {field: make_inputs(5)[field]})
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(a, b)


def test_masked_inputs_change_nothing():
    head, inputs = make_head(), make_inputs()
    params = random_params(head, inputs)
    inputs["token_mask"][:, T:] = False
    inputs["activity_mask"][:, :, 1] = False
    first = apply(head, params, inputs)
    other = {name: value.copy() for name, value in inputs.items()}
    other["tokens"][:, T:] += 3
    other["activity"][:, :, 1] += 3
    second = apply(head, params, other)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_the_order_of_the_electrodes_does_not_matter():
    head, inputs = make_head(), make_inputs()
    params = random_params(head, inputs)
    first = apply(head, params, inputs)
    swapped = inputs | {k: inputs[k][..., ::-1] for k in ("activity", "muscle", "side")}
    second = apply(head, params, swapped)
    np.testing.assert_allclose(first.score, second.score, atol=1e-3)


def test_recognised_actions_are_used_only_outside_training():
    head, inputs = make_head(action="recognised"), make_inputs()
    params = random_params(head, inputs)
    out = apply(head, params, inputs)
    np.testing.assert_array_equal(out.action, out.action_logits.argmax(-1))
    out = compiled(head, train=True)(params, inputs)
    np.testing.assert_array_equal(out.action, inputs["action"])


def test_the_score_is_composed_by_the_graph():
    severity, weight = jnp.array([[1.0, 0.5, 1.0]]), jnp.array([[5.0, 10.0, 0.0]])
    np.testing.assert_allclose(compositional_score(severity, weight), [100 * (1 - 10 / 15)])


def test_joint_model_passes_gradients_through_the_predicted_emg():
    video = models.build(model_config(), **SHAPE)
    inputs = video_batch() | {
        "emg_mask": np.ones((2, 50, 4), bool),
        "action": np.array([0, 1], np.int32),
    }
    model = head_lib.JointAQAModel(video, make_head(rate=10.0, views=2))
    params = random_params(model, inputs)
    assert set(params["params"]) == {"video2emg", "head"}
    grads = jax.jit(jax.grad(lambda p: model.apply(p, inputs, train=False)[0].score.sum()))(params)
    decoder = jax.tree.leaves(grads["params"]["video2emg"]["decoder"])
    assert any(jnp.any(g != 0) for g in decoder)


def test_asymmetric_loss_is_cross_entropy_at_zero_and_forgives_easy_negatives():
    logits, target = jnp.array([-3.0, 0.2, 2.0]), jnp.array([0.0, 1.0, 1.0])
    p = 1 / (1 + np.exp(-np.array(logits)))
    bce = -(np.array(target) * np.log(p) + (1 - np.array(target)) * np.log(1 - p))
    np.testing.assert_allclose(asymmetric_bce(logits, target), bce, rtol=1e-5)
    focused = asymmetric_bce(logits, target, focus_negative=2.0, margin=0.05)
    assert focused[0] == 0 and bce[0] > 0  # p = 0.047 lies within the margin
    np.testing.assert_allclose(focused[1:], bce[1:], rtol=1e-5)
    by_hand = -np.log(1 - (p[2] - 0.05)) * (p[2] - 0.05) ** 2
    loss = asymmetric_bce(logits[2:], jnp.zeros(1), focus_negative=2.0, margin=0.05)
    np.testing.assert_allclose(loss, [by_hand], rtol=1e-5)


def test_losses_ignore_what_is_masked():
    head, inputs = make_head(), make_inputs()
    out = apply(head, random_params(head, inputs), inputs)
    first = aqa_losses(out, targets(), weights())[1]
    changed = targets()
    changed["score"] = changed["score"].at[2].set(0.0)
    changed["severity"] = changed["severity"].at[1, 1].set(1.0)
    second = aqa_losses(out, changed, weights())[1]
    for name in first:
        np.testing.assert_allclose(first[name], second[name], err_msg=name)


def test_usdl_loss_is_least_at_the_labels_distribution():
    inputs, head = make_inputs(), make_head(score="usdl")
    out = apply(head, random_params(head, inputs), inputs)
    labels = targets()
    z = (jnp.arange(101.0) - labels["score"][:, None]) / 3.0
    perfect = out.replace(score_logits=-0.5 * z**2)
    assert aqa_losses(perfect, labels, weights())[1]["score"] == pytest.approx(0, abs=1e-5)
    assert aqa_losses(out, labels, weights())[1]["score"] > 0.1


def test_extra_inputs_have_an_effect_unless_they_are_masked():
    rng = np.random.default_rng(5)
    inputs = make_inputs() | {
        "pose": rng.normal(size=(B, 2 * T, 4, 3)).astype(np.float32),  # twice as often as tokens
        "pose_mask": np.ones((B, 2 * T, 4), bool),
        "load": np.array([10, 20, 40], np.float32),
        "load_mask": np.ones(B, bool),
    }
    model = make_head(extra_inputs=("pose", "load"))
    params = random_params(model, inputs)
    before = apply(model, params, inputs)
    for name in model.extra_inputs:
        other = inputs | {name: inputs[name] + 1}
        hidden = {f"{name}_mask": np.zeros_like(inputs[f"{name}_mask"])}
        assert np.abs(apply(model, params, other).error_logits - before.error_logits).max() > 1e-4
        for field in ("error_logits", "score", "phase_logits"):
            np.testing.assert_allclose(
                getattr(apply(model, params, other | hidden), field),
                getattr(apply(model, params, inputs | hidden), field),
                atol=1e-6,
            )
