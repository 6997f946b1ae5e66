"""What cannot be trusted is refused, with a sentence; what can be is not."""

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tests.pose.squats import NAMES, SIZE, bends, filmed
from video2emg.core.pose_track import PoseTrack
from video2emg.pose import body as body_lib
from video2emg.pose import gates
from video2emg.pose.blazepose import Landmarks, Region
from video2emg.pose.gates import Gated
from video2emg.pose.people import Person

KNEE = bends(10, 15)


def gated(track: PoseTrack, cuts=()) -> Gated:
    return gates.apply(track, body_lib.to_body(track, SIZE, cuts), cuts)


def test_a_good_film_is_used():
    result = gated(filmed(KNEE)[0])
    assert not result.refused and not result.spans
    assert len(result.repeated.turns) == 3 and result.track.seen.all()


def test_lying_is_refused():
    track, _ = filmed(KNEE, facing=90)
    turned = track.joints @ Rotation.from_euler("z", 90, degrees=True).as_matrix().T
    result = gated(dataclasses.replace(track, joints=turned))
    assert "lies" in result.refused and "upright" in result.refused
    assert not result.track.seen.any()


def test_limbs_that_change_their_length_are_refused():
    track, _ = filmed(KNEE)
    rng = np.random.default_rng(0)
    slow = np.cumsum(rng.normal(0, 0.06, track.joints.shape), axis=0)
    result = gated(dataclasses.replace(track, joints=track.joints + slow, points_2d=None))
    assert "length" in result.refused


def test_a_bad_time_is_refused_and_the_rest_is_used():
    track, _ = filmed(KNEE)
    confidence = track.confidence.copy()
    late = track.times > 8.9
    confidence[late] = 0.2
    result = gated(dataclasses.replace(track, confidence=confidence))
    assert not result.refused
    [span] = result.spans
    assert "hidden" in span.reason and span.start == pytest.approx(8.9, abs=1.5)
    assert not result.track.seen[track.times > 9.5].any() and result.track.seen[:100].all()
    assert str(span).startswith(f"{span.start:.1f}-{span.end:.1f} s: ")


def test_a_limb_that_is_noise_is_masked_alone():
    track, _ = filmed(KNEE)
    joints = track.joints.copy()
    wrist = NAMES.index("left_wrist")
    joints[:, wrist] += 0.35 * np.sin(track.times * 3)[:, None]
    result = gated(dataclasses.replace(track, joints=joints, points_2d=None))
    assert not result.refused
    assert result.track.seen[:, wrist].mean() < 0.5
    assert result.track.seen[:, NAMES.index("right_wrist")].all()


def test_the_time_around_a_cut_is_refused():
    track, _ = filmed(KNEE)
    result = gated(track, [5.0])
    assert [s.reason for s in result.spans] == ["the scene changes"]
    assert not result.track.seen[np.abs(track.times - 5) < 0.2].any()


def test_somebody_who_leaves_is_missed():
    track, _ = filmed(KNEE)
    there = np.broadcast_to((track.times < 3)[:, None], track.confidence.shape)
    assert "nobody is seen" in gated(track.masked(there)).refused
    none = np.zeros_like(there)
    assert "nobody was found" in gated(track.masked(none)).refused


@pytest.mark.parametrize("frames", [0, 1, 2, 20])
def test_short_films_are_refused(frames):
    result = gated(filmed(np.full(frames + 1, 5.0))[0]) if frames else None
    assert result is None or "lasts" in result.refused


def test_standing_is_refused():
    assert "repeated" in gated(filmed(np.full(90, 5.0))[0]).refused


def test_a_tiny_picture_is_refused():
    track, _ = filmed(KNEE)
    tiny = dataclasses.replace(track, points_2d=track.points_2d / 8)
    result = gates.apply(tiny, body_lib.to_body(tiny, (SIZE[0] // 8, SIZE[1] // 8)))
    assert "px high" in result.refused


def test_walking_through_is_refused():
    track, _ = filmed(KNEE)
    moved = track.points_2d + np.stack([60 * track.times, 0 * track.times], 1)[:, None]
    assert "walks through" in gated(dataclasses.replace(track, points_2d=moved)).refused


def person(x=320.0, y=240.0, size=250.0, *, facing=0.0, pitch=0.0, light=0.5) -> Person:
    """Somebody who stands at a place, as the search sees it."""
    full = filmed(np.full(6, 5.0), facing=facing, pitch=pitch)[0]
    names = Person.names
    joints = np.zeros((6, len(names), 3))
    points = np.zeros((6, len(names), 2))
    for i, name in enumerate(names):
        k = NAMES.index(name) if name in NAMES else 0
        joints[:, i] = full.joints[:, k]
        points[:, i] = (x, y) + full.joints[:, k, :2] * size / 1.8
    region = Region(x, y, size, 0.0)
    seen = [
        Landmarks(p, np.full(len(names), 0.9), w, 1.0, region)
        for p, w in zip(points, joints, strict=True)
    ]
    return Person([i / 3 for i in range(6)], seen, 1, False, light)


@pytest.mark.parametrize(
    ("someone", "rate", "words"),
    [
        (person(size=380), 30, ""),
        (None, 30, "nobody"),
        (person(size=90), 30, "nearer"),
        (person(y=420, size=380), 30, "feet leave"),
        (person(size=380), 5, "few"),
        (person(size=380, light=0.05), 30, "dark"),
        (person(size=380, facing=88), 30, "side"),
        (person(size=380, pitch=50), 30, "looks down"),
    ],
)
def test_the_preflight_says_what_to_change(someone, rate, words):
    said = "; ".join(gates.preflight(someone, (640, 480), rate))
    assert words in said if words else not said


@pytest.mark.filterwarnings("error::RuntimeWarning")
@settings(max_examples=30)
@given(
    st.integers(0, 40),
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
    st.sampled_from([0.0, 1e-9, 1e-3, 1.0, 1e6]),
    st.booleans(),
)
@example(frames=1, seed=4, share=1.0, scale=1.0, flat=False)  # a cut in a film of one picture
def test_any_track_becomes_a_body_and_a_gated_track(frames, seed, share, scale, flat):
    rng = np.random.default_rng(seed)
    shape = (frames, len(NAMES))
    points = None if flat else rng.normal(size=(*shape, 2)) * 100 * scale + 300
    track = PoseTrack(
        names=NAMES,
        times=np.cumsum(rng.choice([0.01, 0.1, 2.0], frames)),
        joints=rng.normal(size=(*shape, 3)) * scale,
        confidence=np.where(rng.random(shape) < share, rng.random(shape), 0.0),
        points_2d=points,
    )
    cuts = track.times[rng.random(frames) < 0.1].tolist()
    result = gated(track, cuts)
    assert result.track.joints.shape == (*shape, 3)
    assert not (result.track.seen & (track.confidence.max(1, keepdims=True, initial=0) == 0)).any()
    assert all(span.start < span.end and span.advice for span in result.spans)
