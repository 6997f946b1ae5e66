"""A small graph for tests: two actions that share a key step and an error."""

from video2emg.fkg.rubric import Rubric


def rubric(**changes) -> Rubric:
    fields = dict(
        version="test-1",
        actions=("squat", "curl"),
        steps=(("lift", "lower"), ("stand", "lift", "lower")),
        pairs=(
            (("lift", "too_fast"), ("lower", "left_knee_caving"), ("lower", "right_knee_caving")),
            (("lift", "too_fast"),),
        ),
        weights=((5.0, 9.0, 9.0), (5.0,)),
        tiers=(("fine_control", "joint_safety", "joint_safety"), ("fine_control",)),
    )
    return Rubric(**fields | changes)
