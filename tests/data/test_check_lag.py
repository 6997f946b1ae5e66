"""Persons whose EMG is late against the movement, and what speaks for an artefact."""

import dataclasses

import numpy as np
import pytest

from tests.eval.people import bursts
from video2emg.data import store
from video2emg.data.check_lag import Sample, late_people, person_lags, sample_of

RATE = 10.0  # Hz, of the recordings of Muscles in Action


def windows(subject: str, late: float, count: int = 8, actions=("squat",), by_angles=True):
    """Windows of 3 s at 10 Hz; half of the channels are noise."""
    samples = []
    time = np.arange(30) / RATE
    for action in actions:
        for number in range(count):
            rng = np.random.default_rng([number, *subject.encode(), *action.encode()])
            state = rng.bit_generator.state
            movement = bursts(rng, time, 2)
            rng.bit_generator.state = state
            emg = 5 * bursts(rng, time - late, 2)
            noise = np.abs(rng.normal(size=(30, 2)))
            recording = (
                np.concatenate([movement, movement[:, ::-1]], 1),
                time,
                np.concatenate([emg, noise], 1).astype(np.float32),
                time,
            )
            if not by_angles:
                recording = movement[:, :1], time, emg[:, :1].astype(np.float32), time
            samples.append(Sample(subject, action, f"{subject}_{number}", recording, by_angles))
    return samples


def test_each_person_has_a_delay_and_late_people_are_named():
    late = {"a": 0.0, "b": 0.35, "c": 0.8, "d": 1.2}
    samples = [sample for name, value in late.items() for sample in windows(name, value)]
    lags = person_lags(samples)
    for name, value in late.items():
        assert lags[name].delay.seconds == pytest.approx(value, abs=0.1), name
        assert lags[name].clips == 8 and set(lags[name].by_action) == {"squat"}
    findings = list(late_people(lags))
    named = {finding.message.split()[3] for finding in findings}
    assert {"c", "d"} <= named <= {"b", "c", "d"}
    message = findings[-1].message
    assert message.startswith("the EMG of d is 1.") and "s late against the movement (8" in message
    assert "other people have" in message
    assert (findings[0].severity, findings[0].code) == ("warning", "lag")


def test_one_person_alone_is_judged_by_the_movement():
    own = windows("a", 0.7, 3, ("squat", "curl"))
    [finding] = late_people(person_lags(own))
    assert "its 2 exercises are alike" in finding.message
    assert "other people" not in finding.message
    assert not list(late_people(person_lags(windows("a", 0.7, 2))))  # too few clips


def test_early_emg_is_judged_by_that_of_other_people():
    def named(**late):
        lags = person_lags([s for n, value in late.items() for s in windows(n, value)])
        return [finding.message.split(" against")[0] for finding in late_people(lags)]

    assert not named(a=-0.5, b=-0.45, c=-0.5)  # as of a curl
    [early] = named(a=-0.6, b=0.0, c=0.05, d=0.0)
    assert early.startswith("the EMG of a is 0.") and early.endswith("early")
    assert len(named(a=0.0, b=0.8, c=0.9, d=1.0)) == 3  # the one who is in time is not early


def test_people_without_a_delay_are_not_compared_with():
    rng = np.random.default_rng(0)

    def without(subject):
        for sample in windows(subject, 0.0):
            movement, time, emg, emg_time = sample.recording
            noise = np.abs(rng.normal(size=emg.shape)).astype(np.float32)
            yield dataclasses.replace(sample, recording=(movement, time, noise, emg_time))

    lags = person_lags([*windows("a", 0.8), *without("b"), *without("c")])
    assert not lags["b"].delay.fits and not lags["c"].delay.fits
    [finding] = late_people(lags)
    assert "s late against" in finding.message and "other people" not in finding.message


def test_emg_that_fits_nothing_has_no_delay():
    rng = np.random.default_rng(0)
    samples = []
    for sample in windows("a", 0.0):
        movement, time, emg, emg_time = sample.recording
        noise = np.abs(rng.normal(size=emg.shape)).astype(np.float32)
        samples.append(dataclasses.replace(sample, recording=(movement, time, noise, emg_time)))
    lags = person_lags(samples)
    assert lags["a"].delay.remark.startswith("no delay") and not lags["a"].by_action
    assert not list(late_people(lags))
    assert lags["a"].to_json()["seconds"] == 0


def test_of_films_only_differences_between_people_count():
    def lags(**late):
        return person_lags(
            [s for name, value in late.items() for s in windows(name, value, by_angles=False)]
        )

    assert not list(late_people(lags(a=0.5, b=0.5)))
    assert not list(late_people(lags(a=0.5, b=0.5, c=0.6)))
    [finding] = late_people(lags(a=0.0, b=0.0, c=0.8, d=0.1))
    assert "compared with other people" in finding.message


@pytest.mark.parametrize("pictures_only", [False, True])
def test_emg_that_is_moved_moves_the_lag(tiny_dir, pictures_only):
    action = "dumbbell_front_raise" if pictures_only else "barbell_squat"
    clips = store.open_dataset("gymsim/tiny", tiny_dir).splits["train"]
    clip = next(clip for clip in clips if clip.action == action)
    if pictures_only:
        clip = dataclasses.replace(clip, pose_time=np.zeros(0))
    late = dataclasses.replace(clip, emg_start=clip.emg_start + 0.6)
    samples = [sample_of(one) for one in (clip, late)]
    before, after = (person_lags([s])[clip.subject].delay.seconds for s in samples if s)
    assert abs(before) < (0.35 if pictures_only else 0.1)
    assert after - before == pytest.approx(0.6, abs=0.05)
