import dataclasses

import numpy as np
import pytest
from scipy import signal

from tests.sim.people import PERSON
from video2emg.core import emg
from video2emg.physics import anatomy
from video2emg.sim import semg

CHANNEL = "left_biceps_brachii"
NAMES = tuple(f"{m}_left" for m in ("biceps_long", "biceps_short", "brachialis", "triceps_long"))


def recorded(level: float, rate: float = 1000.0, seed: int = 0) -> np.ndarray:
    time = np.arange(0, 4.001, 0.02)
    drive = np.full((len(time), 4), level) * [1, 1, 0, 0]
    rng = np.random.default_rng(seed)
    still = np.zeros_like(time)
    return semg.simulate_channel(drive, NAMES, time, still, CHANNEL, PERSON, rate, rng)


def test_spectrum_is_that_of_surface_emg():
    """Median frequency of 60-120 Hz, little power below 15 Hz."""
    frequency, power = signal.welch(recorded(0.6), 1000.0, nperseg=1000)
    total = np.cumsum(power) / power.sum()
    assert 60 < frequency[np.searchsorted(total, 0.5)] < 120
    assert power[frequency < 15].sum() < 0.03 * power.sum()


@pytest.mark.parametrize("rate", [200.0, 1000.0, 2000.0])
def test_envelope_over_the_mvc_is_the_drive(rate):
    """The envelope in % MVC is the drive, apart from the exponent and the MVC effort."""
    levels = (0.2, 0.5, 0.9)
    properties = semg.electrode(PERSON, CHANNEL)
    for level in levels:
        raw = recorded(level, rate)[:, None].astype(np.float32)
        ratio = emg.envelope(raw, rate).mean() / semg.mvc_envelope(PERSON, CHANNEL, rate)
        expected = (level / properties.mvc_effort) ** properties.exponent
        assert ratio == pytest.approx(expected, rel=0.15)


def test_electrode_depends_on_subject_and_channel_only():
    assert semg.electrode(PERSON, CHANNEL) == semg.electrode(PERSON, CHANNEL)
    others = [
        semg.electrode(PERSON, "right_biceps_brachii"),
        semg.electrode(PERSON, "left_triceps_brachii"),
        semg.electrode(dataclasses.replace(PERSON, seed=6), CHANNEL),
    ]
    assert len({e.gain for e in [semg.electrode(PERSON, CHANNEL), *others]}) == 4


def test_baseline_noise_is_some_microvolts():
    quiet = recorded(0.0)
    assert 0.001 < quiet.std() < 0.01


@pytest.mark.parametrize("name", anatomy.names())
def test_every_neighbour_is_a_muscle_of_the_anatomy(name):
    table = anatomy.load(name)
    for site in semg.SITES.values():
        for neighbour in site.crosstalk:
            shares = semg._neighbour(neighbour, table)
            assert set(shares) <= set(table.muscles)
            assert sum(shares.values()) == pytest.approx(1.0)
