import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from tests.models.test_models import batch, config
from video2emg import models
from video2emg.core.errors import UserError
from video2emg.core.vocabulary import INPUTS
from video2emg.models.fusion import MODES
from video2emg.train.losses import losses

SHAPE = dict(frames=10, size=16, frame_rate=10.0, emg_rate=50.0, joints=21, dofs=3)


def inputs():
    rng = np.random.default_rng(1)
    return batch() | {
        "load": np.array([20.0, 60.0], np.float32),
        "load_mask": np.ones(2, bool),
        "vitals": np.array([[90.0, 16.0], [140.0, 30.0]], np.float32),
        "vitals_mask": np.ones((2, 2), bool),
        "traits": np.array([[1.8, 80.0, 0.0], [1.6, 55.0, 1.0]], np.float32),
        "traits_mask": np.ones((2, 3), bool),
        "emg": rng.random((2, 50, 4)).astype(np.float32),
        "emg_mask": np.ones((2, 50, 4), bool),
    }


def make(**settings):
    chosen = config()
    chosen.update(settings)
    model = models.build(chosen, **SHAPE)
    params = model.init(jax.random.key(0), inputs(), train=False)
    return model, params


def emg_of(model, params, fields):
    return np.asarray(model.apply(params, fields, train=False)[0].emg)


def test_a_model_of_pictures_alone_keeps_the_names_of_its_parameters():
    _, params = make()
    assert sorted(params["params"]) == ["auxiliary_norm", "decoder", "encoder", "layer_0", "load",
                                        "pose", "project", "torque", "view", "when"]  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_every_input_is_heard_and_none_that_is_masked(mode):
    model, params = make(extra_inputs=INPUTS, fusion=mode, layers=2)
    fields = inputs()
    before = emg_of(model, params, fields)
    for name in INPUTS:
        louder = fields | {name: fields[name] * 1.3}
        assert np.abs(emg_of(model, params, louder) - before).max() > 1e-6, name
        gone = {f"{name}_mask": np.zeros_like(fields[f"{name}_mask"])}
        np.testing.assert_array_equal(
            emg_of(model, params, fields | gone), emg_of(model, params, louder | gone)
        )
    blind = {"video_mask": np.zeros_like(fields["video_mask"])}
    unseen = emg_of(model, params, fields | blind)
    assert np.isfinite(unseen).all() and np.abs(unseen - before).max() > 1e-6
    other = {"video": 255 - fields["video"]}
    np.testing.assert_array_equal(unseen, emg_of(model, params, fields | blind | other))


def test_groups_meet_in_the_bottleneck_only():
    """Without shared tokens, pictures know nothing of what is given beside them."""
    model, params = make(extra_inputs=("load",), fusion="bottleneck", bottlenecks=2, layers=2)
    fields = inputs()

    def tokens(load):
        return np.asarray(model.apply(params, fields | {"load": load}, train=False)[1]["tokens"])

    heavy = fields["load"] * 3
    assert np.abs(tokens(heavy) - tokens(fields["load"])).max() > 1e-6
    # A load that is not known must not reach them either: its group has no say.
    fields["load_mask"] = np.zeros(2, bool)
    np.testing.assert_array_equal(tokens(heavy), tokens(fields["load"]))


def test_a_model_that_is_not_told_the_camera_gives_the_same_for_any():
    fields = inputs()
    other = {"view": fields["view"] + 3}
    model, params = make(view_embedding=False)
    np.testing.assert_array_equal(
        emg_of(model, params, fields), emg_of(model, params, fields | other)
    )
    model, params = make()
    assert np.abs(emg_of(model, params, fields) - emg_of(model, params, fields | other)).max() > 0


def test_what_is_given_is_not_predicted():
    model, params = make(extra_inputs=("pose", "load"))
    outputs, _ = model.apply(params, inputs(), train=False)
    assert outputs.pose is None and outputs.load is None and outputs.torque is not None


def test_the_spread_follows_the_errors_and_leaves_the_emg_alone():
    model, params = make(predicted_mae=True)
    fields = inputs() | {"torque": np.zeros((2, 10, 3), np.float32)}
    fields["torque_mask"] = np.ones((2, 10, 3), bool)
    fields = jax.tree.map(jnp.asarray, fields)
    weights = ml_collections.ConfigDict(
        dict(emg=0.0, pose=0.0, torque=0.0, load=0.0, predicted_mae=1.0)
    )

    def loss(p):
        return losses(model.apply(p, fields, train=False)[0], fields, weights)[0]

    moved = [
        jax.tree_util.keystr(path)
        for path, slope in jax.tree_util.tree_leaves_with_path(jax.grad(loss)(params))
        if jnp.abs(slope).max() > 0
    ]
    assert moved and all("spread" in name for name in moved)
    # By the likelihood of one error of size e, the best spread is e.
    off = jnp.asarray(0.2)
    best = jax.grad(lambda s: off / s + jnp.log(s))(off)
    assert abs(float(best)) < 1e-6
    plain, _ = make()
    shared = dict(params["params"], decoder={
        name: value for name, value in params["params"]["decoder"].items() if name != "spread"
    })  # fmt: skip
    np.testing.assert_allclose(
        emg_of(plain, {"params": shared}, fields), emg_of(model, params, fields), atol=1e-6
    )


@pytest.mark.parametrize(
    "settings",
    [
        dict(extra_inputs=("smell",)),
        dict(extra_inputs=("load", "load")),
        dict(extra_inputs=("vitals",), causal=True),
        dict(fusion="late"),
        dict(fusion="bottleneck", causal=True),
        dict(extra_inputs=("pose",), encoder=dict(name="pose", dim=16)),
    ],
)
def test_inputs_that_make_no_sense_are_refused(settings):
    with pytest.raises(UserError, match=r"config\.model"):
        make(**settings)
