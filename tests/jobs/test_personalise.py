"""Fitting a model to a person, on the smallest dataset."""

import numpy as np
import pytest

from configs import personalise as config_of
from tests.eval.clips import make_set
from video2emg.core.errors import UserError
from video2emg.jobs import personalise


def test_what_is_revealed_is_never_asked_and_all_are_asked_the_same():
    series = make_set(["x", "y"], repetitions=4)
    revealed, asked = personalise.reveal(series, 3, draw=0)
    assert {len(own) for own in revealed.values()} == {3}
    known = [i for own in revealed.values() for i in own]
    assert not set(known) & set(asked) and len(known) + len(asked) == len(series)
    for subject, own in revealed.items():
        assert all(series[i].subject == subject for i in own)
    assert personalise.reveal(series, 3, draw=0) == (revealed, asked)
    assert personalise.reveal(series, 3, draw=1)[0] != revealed
    with pytest.raises(UserError, match="'x' has 8 clips; revealing 8"):
        personalise.reveal(series, 8, draw=0)


def test_every_method_on_the_smallest_run(run_dir, tmp_path):
    config = config_of.get_config("debug")
    # A model of two steps predicts next to nothing: gain and steps can only help.
    config.update(run=str(run_dir), learning_rate=0.05, steps=(2, 4))
    found = personalise.run(config, tmp_path / "personal")
    rows = found["test"]["rows"]
    assert set(rows) == {"nothing"} | {
        f"{method}, {k}"
        for method in personalise.METHODS
        for k in ("1 repetition", "2 repetitions")
    }
    assert found["test"]["clips"] == 10  # of 12, two are revealed
    for name in set(rows) - {"nothing"}:
        assert np.isfinite(rows[name]["skill"]) and rows[name]["skill"] != rows["nothing"]["skill"]
    assert rows["head, 2 repetitions"]["skill"] > rows["nothing"]["skill"]
    assert set(found["provenance"]["settings"]) == set(personalise.METHODS)
    assert (tmp_path / "personal" / "table.png").exists()
    assert personalise.run(config, tmp_path / "personal")["test"] == found["test"]  # at once
    config.hidden = ("smell",)
    with pytest.raises(UserError, match="no input smell; it has front, front_left"):
        personalise.run(config, tmp_path / "other")


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"methods": ("gain", "magic")}, "config.methods"),
        ({"repetitions": (0, 1)}, "config.repetitions"),
        ({"run": "nowhere"}, "no configuration"),
    ],
)
def test_mistakes_are_found_first(changes, says, tmp_path):
    config = config_of.get_config("debug")
    config.update(changes)
    with pytest.raises(UserError, match=says):
        personalise.run(config, tmp_path / "personal")
    assert not (tmp_path / "personal").exists()
