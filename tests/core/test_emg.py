import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from tests.conftest import make_clip
from video2emg.core import emg
from video2emg.core.errors import UserError


def test_envelope_of_modulated_noise_recovers_the_modulation():
    rng = np.random.default_rng(0)
    t = np.arange(0, 20, 1e-3)
    amplitude = 1 + 0.8 * np.sin(2 * np.pi * 0.5 * t)
    raw = (amplitude * rng.normal(size=len(t)))[:, None].astype(np.float32)
    out = emg.envelope(raw, 1000.0)[:, 0]
    assert np.corrcoef(out, amplitude)[0, 1] > 0.9
    # Mean of rectified Gaussian noise is sqrt(2/pi) of its deviation; two passes keep mean |H|^4.
    band = signal.butter(2, [20, 450], "bandpass", fs=1000, output="sos")
    kept = np.mean(np.abs(signal.sosfreqz(band, 4096)[1]) ** 4)
    assert out.mean() == pytest.approx(np.sqrt(2 / np.pi * kept), rel=0.03)


def test_envelope_equals_the_chain_written_out_with_scipy():
    raw = np.random.default_rng(1).normal(size=(3000, 2)).astype(np.float32)
    x = raw.astype(float) - raw.mean(0)
    x = signal.sosfiltfilt(
        signal.butter(2, [20, 450], "bandpass", fs=1000, output="sos"), x, axis=0, padlen=166
    )
    x = signal.sosfiltfilt(
        signal.butter(2, 6, fs=1000, output="sos"), np.abs(x), axis=0, padlen=166
    )
    np.testing.assert_allclose(emg.envelope(raw, 1000.0), np.maximum(x, 0), atol=1e-6)


def test_notch_removes_mains_hum():
    t = np.arange(0, 5, 1e-3)
    hum = np.sin(2 * np.pi * 50 * t)[:, None].astype(np.float32)
    plain = emg.envelope(hum, 1000.0)[1000:-1000].mean()
    notched = emg.envelope(hum, 1000.0, emg.Chain(notch=50.0))[1000:-1000].mean()
    assert plain > 0.5 and notched < 0.02 * plain


def test_band_follows_the_rate_and_impossible_rates_are_refused():
    raw = np.random.default_rng(0).normal(size=(800, 1)).astype(np.float32)
    assert np.isfinite(emg.envelope(raw, 200.0)).all()
    with pytest.raises(UserError, match="too low"):
        emg.envelope(raw, 40.0)
    with pytest.raises(UserError, match="samples"):
        emg.envelope(raw[:30], 1000.0)


@settings(max_examples=25)
@given(st.floats(0.01, 100.0), st.integers(0, 5))
def test_envelope_is_homogeneous_and_not_negative(gain, seed):
    raw = np.random.default_rng(seed).normal(size=(600, 1)).astype(np.float32)
    base, scaled = emg.envelope(raw, 1000.0), emg.envelope(np.float32(gain) * raw, 1000.0)
    assert (base >= 0).all()
    np.testing.assert_allclose(scaled, gain * base, rtol=1e-3, atol=1e-5 * gain)


def test_impulse_keeps_its_instant_at_every_rate():
    for rate in (200.0, 1259.26, 4000.0):
        time = np.arange(round(3 * rate)) / rate
        raw = np.zeros((len(time), 1), np.float32)
        at = round(1.5 * rate)
        raw[at, 0] = 1.0
        grid = np.arange(0, 3, 0.02)
        out, _ = emg.resample(emg.envelope(raw, rate), time, grid)
        assert abs(grid[out[:, 0].argmax()] - time[at]) <= 0.02


def test_normalisations_are_fitted_on_the_right_subjects():
    clips = [make_clip(i, subject=f"s{i % 3}") for i in range(6)]
    pairs = [(c, emg.clip_envelope(c) * (100.0 if c.subject == "s2" else 1.0)) for c in clips]
    train = emg.Normalisation.fit("train", pairs, {"s0", "s1"})
    assert set(train.table) == {"vastus_lateralis"} and train.table["vastus_lateralis"] < 3
    own = emg.Normalisation.fit("subject", pairs, {"s0", "s1"})
    assert own.table["s2/left_vastus_lateralis"] > 20 * own.table["s1/left_vastus_lateralis"]
    env = pairs[0][1]
    for reference in (train, own, emg.Normalisation("mvc")):
        scale = reference.scale(clips[0])
        np.testing.assert_allclose(env / scale * scale, env, rtol=1e-6)
    with pytest.raises(UserError, match="no 'subject' reference"):
        own.scale(make_clip(9, subject="stranger"))
    nobody = make_clip(9)
    nobody.emg_max[:] = np.nan
    with pytest.raises(UserError, match="emg_max"):
        emg.Normalisation("mvc").scale(nobody)
