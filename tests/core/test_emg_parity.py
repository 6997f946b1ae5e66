"""Our EMG chain beside LibEMG's and NeuroKit2's, where their definitions coincide.

LibEMG asks for NumPy 1 and OpenCV, so its part runs in an environment of its own:

    python -m venv parity && parity/bin/pip install libemg neurokit2 jaxtyping pytest beartype
    parity/bin/python -m pytest --noconftest tests/core/test_emg_parity.py
"""

import numpy as np
import pytest

from video2emg.core import emg

RATE = 1000.0
EDGE = 1500  # samples; libraries continue a signal differently beyond its ends
AS_EQUAL = 1e-5  # of the largest value


@pytest.fixture(scope="module")
def raw():
    """Ten seconds of noise that swells and ebbs, with an offset and mains hum."""
    time = np.arange(10_000) / RATE
    noise = np.random.default_rng(0).normal(size=(len(time), 2))
    swell = 0.1 + np.sin(np.pi * time / 2)[:, None] ** 2
    return 0.3 + swell * noise + 0.2 * np.sin(2 * np.pi * 50 * time)[:, None]


def gap(a, b):
    inner = slice(EDGE, -EDGE)
    return np.abs(a[inner] - b[inner]).max() / np.abs(b[inner]).max()


def libemg_filter(**settings):
    filtering = pytest.importorskip(
        "libemg.filtering", reason="LibEMG is not installed: see the top of this file"
    )
    own = filtering.Filter(RATE)
    own.install_filters(settings)
    return own.filter


@pytest.mark.parametrize("notch", [0.0, 50.0])
def test_envelope_is_that_of_libemgs_filters(raw, notch):
    band = libemg_filter(name="bandpass", cutoff=[20, 450], order=2)
    smooth = libemg_filter(name="lowpass", cutoff=6, order=2)
    x = band(raw - raw.mean(0))
    if notch:
        x = libemg_filter(name="notch", cutoff=notch, bandwidth=notch / 30)(x)
    theirs = smooth(np.abs(x))
    assert gap(emg.envelope(raw, RATE, emg.Chain(notch=notch)), theirs) < AS_EQUAL


def test_libemgs_mean_absolute_value_is_our_envelope_at_rest_on_average(raw):
    """MAV is a boxcar where ours is a low-pass: equal in the mean, not at an instant."""
    extractor = pytest.importorskip(
        "libemg.feature_extractor", reason="LibEMG is not installed: see the top of this file"
    ).FeatureExtractor()
    band = libemg_filter(name="bandpass", cutoff=[20, 450], order=2)
    clean = band(raw - raw.mean(0))[1000:9000]
    mav = extractor.getMAVfeat(clean.reshape(8, 1000, 2).transpose(0, 2, 1))
    ours = emg.envelope(raw, RATE)[1000:9000].reshape(8, 1000, 2).mean(1)
    np.testing.assert_allclose(ours, mav, rtol=0.05)


def test_envelope_is_that_of_neurokits_filters(raw):
    nk = pytest.importorskip("neurokit2", reason="NeuroKit2 is not installed")

    def filtered(x, **settings):
        return np.stack(
            [nk.signal_filter(c, RATE, method="butterworth", order=2, **settings) for c in x.T],
            axis=1,
        )

    band = filtered(raw - raw.mean(0), lowcut=20, highcut=450)
    theirs = filtered(np.abs(band), highcut=6)
    assert gap(emg.envelope(raw, RATE), theirs) < AS_EQUAL


def test_neurokits_other_steps_have_another_definition(raw):
    """`emg_clean` cuts below 100 Hz; `emg_amplitude` knows no sampling rate and squares."""
    nk = pytest.importorskip("neurokit2", reason="NeuroKit2 is not installed")
    time = np.arange(4000) / RATE
    slow, fast = (np.sin(2 * np.pi * f * time) for f in (60.0, 200.0))
    kept = [nk.emg_clean(x, sampling_rate=1000)[1000:3000].std() / x.std() for x in (slow, fast)]
    assert kept[0] < 0.25 and kept[1] > 0.95
    ours = [emg.envelope(x[:, None], RATE)[1000:3000].mean() for x in (slow, fast)]
    assert ours[0] / ours[1] == pytest.approx(1.0, abs=0.03)
    noise = raw[:, 0] - raw[:, 0].mean()
    twice = nk.emg_amplitude(2 * noise)[EDGE:-EDGE] / nk.emg_amplitude(noise)[EDGE:-EDGE]
    np.testing.assert_allclose(twice, 4.0, rtol=1e-6)
