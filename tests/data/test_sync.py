import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video2emg.core.errors import UserError
from video2emg.data import sync


def effort(time, seed=0):
    """Bursts at random instants, as a function of time for both recorders."""
    rng = np.random.default_rng(seed)
    centres = np.cumsum(rng.uniform(0.8, 2.5, 40))
    return sum(np.exp(-0.5 * ((time - c) / 0.15) ** 2) for c in centres)


@pytest.mark.parametrize("shift", [-3.21, -0.4, 0.0, 0.137, 2.5])
def test_a_known_offset_is_found_within_its_interval(shift):
    video = np.arange(0, 30, 1 / 29.97)
    own = np.arange(0, 30, 1 / 200)
    rng = np.random.default_rng(1)
    offset = sync.estimate_offset(
        effort(video) + 0.1 * rng.normal(size=len(video)),
        video,
        effort(own + shift) + 0.1 * rng.normal(size=len(own)),
        own,
    )
    assert offset.seconds == pytest.approx(shift, abs=0.02)
    assert offset.low - 0.02 <= shift <= offset.high + 0.02
    assert offset.high - offset.low < 0.2 and offset.correlation > 0.8


def test_unrelated_signals_have_a_wide_interval():
    time = np.arange(0, 30, 0.02)
    offset = sync.estimate_offset(effort(time, 1), time, effort(time, 2), time)
    assert offset.high - offset.low > 1.0


def test_signals_that_cannot_be_compared_are_refused():
    time = np.arange(0, 30, 0.02)
    with pytest.raises(UserError, match="EMG envelope is constant"):
        sync.estimate_offset(effort(time), time, np.ones_like(time), time)
    with pytest.raises(UserError, match="too short"):
        sync.estimate_offset(effort(time[:60]), time[:60], effort(time[:60]), time[:60])


@given(offset=st.floats(-100, 100), drift=st.floats(-1e-3, 1e-3), rate=st.floats(100, 4000))
def test_clocks_count_the_same_samples(offset, drift, rate):
    clock = sync.Clock(offset, drift)
    time = np.arange(1000) / rate
    video_time = clock.to_video(time)
    np.testing.assert_allclose(
        video_time - video_time[0], np.arange(1000) / clock.rate(rate), rtol=1e-9
    )
    assert video_time[0] == pytest.approx(offset)


def test_motion_energy_is_change_per_second():
    video = np.cumsum(np.ones((5, 3, 3)), axis=0)
    energy, time = sync.motion_energy(video, np.array([0, 0.1, 0.2, 0.4, 0.5]))
    np.testing.assert_allclose(energy, [10, 10, 5, 10])
    np.testing.assert_allclose(time, [0.05, 0.15, 0.3, 0.45])


def test_a_better_fit_beyond_the_search_is_said():
    time = np.arange(0, 40, 0.02)
    with pytest.raises(UserError, match=r"nothing fits within ±5 s .* about \+8\.0 s"):
        sync.estimate_offset(effort(time), time, effort(time + 8), time)
    found = sync.estimate_offset(effort(time), time, effort(time + 8), time, largest=10)
    assert found.seconds == pytest.approx(8, abs=0.02)


def test_a_missing_sample_is_named():
    time = np.arange(0, 30, 0.02)
    broken = effort(time)
    broken[4] = np.nan
    with pytest.raises(UserError, match="motion energy is not finite at sample 5"):
        sync.estimate_offset(broken, time, effort(time), time)
    with pytest.raises(UserError, match="EMG envelope is not finite at sample 5"):
        sync.estimate_offset(effort(time), time, broken, time)


def bursts(time, seed):
    """A repetition of each of two muscles."""
    rng = np.random.default_rng(seed)
    centres = np.array([1.0, 1.7]) + rng.uniform(-0.3, 0.3)
    return np.exp(-0.5 * ((time[:, None] - centres) / 0.25) ** 2)


@pytest.mark.parametrize("shift", [-0.8, 0.0, 0.4])
def test_short_recordings_tell_together_what_one_does_not(shift):
    video, own = np.arange(0, 3, 1 / 25), np.arange(0, 3, 1 / 50)
    rng = np.random.default_rng(0)
    recordings = []
    for seed in range(6):
        emg = bursts(own + shift, seed) * [0.2, 30.0]
        noise = rng.normal(size=emg.shape) * [0.04, 6.0]
        recordings.append((bursts(video, seed), video, emg + noise, own))
    offset = sync.pooled_offset(recordings)
    assert offset.seconds == pytest.approx(shift, abs=0.06)
    assert offset.high - offset.low < 0.3 and not offset.rivals
    with pytest.raises(UserError, match="no recording of more than 4 s"):
        sync.pooled_offset(recordings, largest=4.0)


def test_a_periodic_movement_has_rivals():
    time = np.arange(0, 6, 0.02)
    wave = np.sin(2 * np.pi * time / 0.8)[:, None]
    offset = sync.pooled_offset([(wave, time, wave, time)], largest=1.0)
    assert any(abs(abs(shift - offset.seconds) - 0.8) < 0.06 for shift in offset.rivals)
    assert not sync.estimate_offset(effort(time), time, effort(time), time).rivals
