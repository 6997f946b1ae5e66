import pytest

from analyses import pose_errors
from tests.conftest import fast_jobs
from video2emg.core.errors import UserError


def test_balance_repairs_a_wrong_vertical_and_not_the_rest(tiny_dir):
    flags = ["--name", "gymsim/tiny", "--data_dir", str(tiny_dir), "--clips", "2"]
    flags += ["--errors", "pitch", "--ways", "balanced"]
    with fast_jobs():
        measured = pose_errors.run(pose_errors.parser().parse_args(flags))
    rows = measured["rows"]["balanced"]
    assert list(rows) == ["none", "pitch", "all"]
    assert rows["none"]["pcc"] > 0.6
    assert rows["pitch"]["pcc"] == pytest.approx(rows["none"]["pcc"], abs=0.05)
    assert rows["all"]["skill"] < min(rows["none"]["skill"], rows["pitch"]["skill"]) - 1


def test_mechanics_need_a_cleaned_pose(tiny_dir):
    """Of the model in the package."""
    flags = ["--name", "gymsim/tiny", "--data_dir", str(tiny_dir), "--clips", "4", "--errors"]
    with fast_jobs():
        rows = pose_errors.run(
            pose_errors.parser().parse_args([*flags, "--ways", "plain", "cleaned"])
        )["rows"]
    given, cleaned = rows["plain"]["all"], rows["cleaned"]["all"]
    assert cleaned["pcc"] > given["pcc"] + 0.15
    assert cleaned["skill"] > given["skill"] + 1
    assert rows["plain"]["none"]["joints_cm"] == pytest.approx(0, abs=1e-4)
    assert 1 < cleaned["joints_cm"] < 0.6 * given["joints_cm"]


def test_a_run_that_does_not_clean_poses_is_refused(run_dir, tiny_dir):
    flags = ["--name", "gymsim/tiny", "--data_dir", str(tiny_dir), "--run", str(run_dir)]
    with pytest.raises(UserError, match="does not clean poses"), fast_jobs():
        pose_errors.run(pose_errors.parser().parse_args([*flags, "--ways", "cleaned"]))


def test_the_table_begins_without_errors_and_ends_with_all():
    scores = {"none": 0.5, "knee": 0.4, "pitch": -2.0, "all": -5.0}
    rows = {e: {"skill": s, "pcc": 0.5, "specificity": 0.5} for e, s in scores.items()}
    lines = pose_errors.table({"plain": rows, "balanced": rows}).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| none",
        "| wrong vertical",
        "| bent knees",
        "| all of an estimator's",
    ]
    assert "−2.00" in lines[3]
    assert lines[0].endswith("| skill | PCC | skill, balanced | PCC, balanced |")


def test_an_unknown_error_is_named():
    with pytest.raises(UserError, match="--errors nose: is none of smoothing"):
        list(pose_errors.noises(["nose"]))
