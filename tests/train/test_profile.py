from video2emg.train import profile

from . import tiny


def test_a_profile_is_written_and_changes_nothing(tmp_path):
    changes = dict(steps=profile.LENGTH + 2, eval_every=50, save_every=50)
    tiny.run(tmp_path / "plain", **changes)
    tiny.run(tmp_path / "profiled", profile=True, **changes)
    log = "metrics.jsonl"
    assert (tmp_path / "plain" / log).read_text() == (tmp_path / "profiled" / log).read_text()
    text = (tmp_path / "profiled" / "profile" / "summary.txt").read_text()
    rows = {line[:18].strip(): line[18:].split() for line in text.splitlines()}
    assert float(rows["FLOPs per step"][0]) > 1e3
    assert float(rows["matmul ceiling"][0]) > 1e8
    for name in ("waiting for input", "device idle", "utilisation"):
        assert 0 <= float(rows[name][0].rstrip("%")) <= 100
    assert list((tmp_path / "profiled" / "profile").rglob("*.xplane.pb"))


def test_a_run_shorter_than_the_profile_writes_none(tmp_path):
    tiny.run(tmp_path, profile=True, steps=5)
    assert not (tmp_path / "profile" / "summary.txt").exists()
