import pytest

from tests.eval.test_ladder_scores import LADDER
from tests.viz.test_figures import check_png, texts
from video2emg.eval import ladder_scores, results
from video2emg.viz import transfer


def test_every_row_and_k_is_drawn_and_the_kind_of_emg_is_told(tmp_path):
    rungs = {str(k): ladder_scores.evaluate(LADDER.rung(k), samples=10) for k in (0, 2)}
    found = {
        "provenance": {"dataset": "test", "simulated": True, "run": "a", "apply_lag": False},
        "test": {"rungs": rungs, "delays": {}},
    }
    results.write_results(tmp_path / "results.json", found)
    found = results.read_results(tmp_path / "results.json")
    (tmp_path / "results.json").unlink()
    words = texts(transfer.ladder(found, tmp_path / "table.png"))
    for word in ("simulated EMG", "2 people", "k, measured", "ridge of other people"):
        assert word in words
    check_png(tmp_path / "table.png")
    text = ladder_scores.format_table(found)
    assert text.index("0  model") < text.index("2  model")
    assert "simulated EMG" in text and "80 % bands cover" in text
    of_muscle = found["test"]["rungs"]["0"]["rows"]["model"]["by_muscle"]
    assert "k = 2: r at lag (skill), loudness" in text
    lines = text[text.index("k = 0: r at lag, loudness") :].splitlines()[2 : 2 + len(of_muscle)]
    written = {line.split()[0]: float(line.split()[1].rstrip(",")) for line in lines}
    assert written == {m: pytest.approx(row["r_lag"], abs=0.006) for m, row in of_muscle.items()}
    assert list(written.values()) == sorted(written.values(), reverse=True)
