import numpy as np
import pytest

from video2emg.core import emg as emg_lib
from video2emg.core.batch import Window
from video2emg.core.errors import UserError
from video2emg.data.examples import Examples
from video2emg.eval import encoder_features


@pytest.fixture
def examples(clips):
    window = Window(
        seconds=1.5,
        frame_rate=5.0,
        emg_rate=50.0,
        size=16,
        views=("front", "left"),
        channels=2,
        joints=clips[0].joints,
        dofs=clips[0].dofs,
    )
    return Examples(clips[:3], window, emg_lib.Chain(), emg_lib.Normalisation("mvc"))


class Encoder:
    """Mean colour of every second frame; counts how often it is traced."""

    def __init__(self):
        self.calls = 0

    def __call__(self, video, mask):
        self.calls += 1
        return video[:, ::2].mean((2, 3))


def about(examples, weights="w"):
    return encoder_features.identity("gymsim/tiny", "1.0.0", examples, {"name": "mean"}, weights)


def get(folder, examples, encoder, **changes):
    return encoder_features.cached(
        folder, "train", about(examples, **changes), examples, encoder, 2, 2
    )


def test_computed_once_and_the_same_when_read(tmp_path, examples):
    encoder = Encoder()
    first = get(tmp_path, examples, encoder)
    assert encoder.calls == 1
    second = get(tmp_path, examples, encoder)
    assert encoder.calls == 1
    for a, b in zip(first, second, strict=True):
        assert a.clip_id == b.clip_id
        for name in ("values", "time", "mask"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    get(tmp_path, examples, encoder, weights="others")
    assert encoder.calls == 2 and len(list(tmp_path.iterdir())) == 2


def test_values_lie_on_the_clip_clock(tmp_path, examples):
    (one, *_) = get(tmp_path, examples, Encoder())
    clip = examples.clip(0)
    assert one.values.shape == (len(one.time), 2, 3) and one.clip_id == clip.clip_id
    assert (np.diff(one.time) > 0).all() and one.time[-1] <= clip.frame_time[-1] + 0.2
    cut = examples.read_window(0, 0.0)
    expected = cut["video"][1, 2].astype(np.float32).mean((0, 1)) / 127.5 - 1
    np.testing.assert_allclose(one.values[1, 1], expected, atol=1e-4)
    np.testing.assert_allclose(one.time[1], 0.4, atol=1e-6)
    assert one.mask[0].all() and not one.values[~one.mask].any()


def test_damage_and_other_clips_are_named(tmp_path, examples):
    get(tmp_path, examples, Encoder())
    (folder,) = tmp_path.iterdir()
    fewer = Examples(examples.source[:2], examples.window, examples.chain, examples.normalisation)
    with pytest.raises(UserError, match="other clips"):
        get(tmp_path, fewer, Encoder())
    (folder / "train" / "features.array_record").write_bytes(b"")
    with pytest.raises(UserError, match="damaged features"):
        get(tmp_path, examples, Encoder())


def test_nothing_half_written(tmp_path, examples, monkeypatch):
    def fail(*_):
        raise OSError("no room")

    monkeypatch.setattr(encoder_features, "write_json", fail)
    with pytest.raises(UserError, match="no room"):
        get(tmp_path, examples, Encoder())
    (folder,) = tmp_path.iterdir()
    assert not list(folder.iterdir())
