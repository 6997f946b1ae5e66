import itertools
import json

import numpy as np
import pytest
from PIL import Image

from tests.eval.clips import make_clip, make_set
from video2emg.core.errors import UserError
from video2emg.eval import baselines, results
from video2emg.viz import figures
from video2emg.viz.calibration import calibration

TRAIN = make_set(["a", "b", "c"], seed=1)
TEST = make_set(["x", "y"], seed=2)
MODEL = [0.8 * clip.target for clip in TEST]


@pytest.fixture(scope="module")
def run():
    facts = {"dataset": "gymsim/tiny", "simulated": True, "normalisation": "mvc", "seed": 0}
    part = results.evaluate(results.tables(TRAIN, TEST, MODEL), {"a", "b", "c"}, samples=20)
    return {"provenance": facts, "test": part}


def test_calibration_shows_the_nominal_share_and_the_worst_exercise(run, tmp_path):
    part = {
        "coverage": 0.8,
        "coverage_ci95": [0.7, 0.9],
        "width": 0.2,
        "by_action": {"barbell_squat": 0.6, "dumbbell_curl": 0.9},
    }
    levels = {
        f"{x:g}": {**part, "coverage": x, "without_predicted_mae": part} for x in (0.5, 0.8, 0.95)
    }
    run = run | {"test": run["test"] | {"calibration": levels}}
    figure = calibration(run, tmp_path / "calibration.png")
    words = texts(figure)
    assert "barbell squat" in words and "simulated" in words and "curl" not in words
    check_png(tmp_path / "calibration.png")


def texts(figure):
    """All words in a figure."""
    words = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        words += [text.get_text() for text in axes.texts]
        words += [axes.get_xlabel(), axes.get_ylabel(), axes.get_title()]
        words += [label.get_text() for label in axes.get_xticklabels()]
    for legend in figure.legends:
        words += [text.get_text() for text in legend.get_texts()]
    return " | ".join(words).replace("\n", " ")


def check_png(path):
    """A whole picture, alone in its folder, that is not blank."""
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    picture = np.asarray(Image.open(path).convert("L"))
    assert picture.shape[1] >= 800
    assert 0.001 < (picture < 128).mean() < 0.5


def test_envelopes_show_both_signals_and_the_video(tmp_path):
    clip = TEST[0]
    frames = np.zeros((30, 24, 24, 3), np.uint8)
    frames[:, :, :, 0] = 200
    end = float(clip.time[-1])
    figure = figures.envelopes(
        clip,
        MODEL[0],
        tmp_path / "e.png",
        frames=frames,
        frame_time=np.linspace(0, end, 30),
        phases=[("raise_arm", 0.0, end / 2), ("lower_arm", end / 2, end)],
        template=baselines.Template().fit(TRAIN).predict(clip),
        simulated=True,
    )
    check_png(tmp_path / "e.png")
    words = texts(figure)
    wanted = ("simulated", "% MVC", "time [s]", "left biceps brachii", "raise arm", "template")
    for word in wanted:
        assert word in words
    strip, *panels = figure.axes
    assert len(strip.images) == 8
    assert len(panels) == len(clip.muscles)
    for c, axes in enumerate(panels):
        drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
        np.testing.assert_allclose(drawn["measured"], 100 * clip.target[:, c], 1e-5)
        np.testing.assert_allclose(drawn["predicted"], 100 * MODEL[0][:, c], 1e-5)
        assert axes.get_xlim() == strip.get_xlim() == (0, end)


def test_every_frame_is_tied_to_its_time(tmp_path):
    clip = TEST[0]
    times = np.array([0.1, 0.15, 0.9])
    frames = np.zeros((3, 8, 8, 3), np.uint8)
    figure = figures.envelopes(clip, MODEL[0], tmp_path / "e.png", frames=frames, frame_time=times)
    strip = figure.axes[0]
    ends = [float(line.get_xdata()[-1]) for line in strip.lines]
    assert set(ends) <= set(times)
    edges = sorted(image.get_extent()[:2] for image in strip.images)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(edges))


def test_envelopes_of_real_emg_with_a_gap(tmp_path):
    mask = np.ones((60, 2), bool)
    mask[20:30, 0] = False
    mask[:, 1] = False
    clip = make_clip(np.where(mask, 0.4, np.nan), mask=mask)
    figure = figures.envelopes(clip, np.zeros((60, 2)), tmp_path / "e.png", normalisation="subject")
    check_png(tmp_path / "e.png")
    assert "simulated" not in texts(figure)
    assert "not measured" in texts(figure)
    assert "% of the subject reference" in texts(figure)


def test_frames_need_times(tmp_path):
    with pytest.raises(UserError, match="time for every frame"):
        figures.envelopes(
            TEST[0], MODEL[0], tmp_path / "e.png", frames=np.zeros((3, 8, 8, 3), np.uint8)
        )
    assert not list(tmp_path.iterdir())


def test_scatter_has_a_panel_per_muscle_and_a_point_per_clip_and_side(tmp_path):
    figure = figures.scatter_by_muscle(TEST, MODEL, tmp_path / "s.png", simulated=True)
    check_png(tmp_path / "s.png")
    assert [axes.get_title() for axes in figure.axes] == ["biceps brachii", "vastus lateralis"]
    points = np.concatenate([c.get_offsets() for c in figure.axes[0].collections])
    points = points[np.isfinite(np.asarray(points)).all(1)]
    sides = sum(name.endswith("biceps_brachii") for clip in TEST for name in clip.muscles)
    assert len(points) == sides
    np.testing.assert_allclose(points[:, 1], 0.8 * points[:, 0], 1e-4)
    assert "r = 1.00" in texts(figure)
    assert "simulated" in texts(figure)


def test_skill_bars_are_the_results(run, tmp_path):
    figure = figures.skill_by_action(run, tmp_path / "k.png")
    check_png(tmp_path / "k.png")
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    model = run["test"]["model"]
    wanted = [model["skill"], *(model["by_action"][a]["skill"] for a in ("curl", "squat"))]
    np.testing.assert_allclose(heights, wanted)
    for word in ("simulated", "all", "curl", "95 %", "nearest neighbour", "2 unseen subjects"):
        assert word in texts(figure)


def test_skill_of_merged_seeds_and_of_a_file(run, tmp_path):
    other = {"provenance": run["provenance"] | {"seed": 1}, "test": run["test"]}
    merged = results.merge_seeds([run, other])
    (tmp_path / "in").mkdir()
    results.write_results(tmp_path / "in" / "r.json", merged)
    read = results.read_results(tmp_path / "in" / "r.json")
    figure = figures.skill_by_action(read, tmp_path / "out" / "k.png")
    check_png(tmp_path / "out" / "k.png")
    assert "± sd over 2 seeds" in texts(figure)


def test_skill_needs_scores_by_action(tmp_path):
    with pytest.raises(UserError, match="no scores by action"):
        figures.skill_by_action({"test": {"model": {"skill": 1.0}}}, tmp_path / "k.png")


def test_training_curves_mark_the_best(tmp_path):
    log = tmp_path / "log" / "metrics.jsonl"
    log.parent.mkdir()
    lines = [{"step": s, "loss": 1 / s, "loss_emg": 0.5 / s, "grad_norm": 1} for s in (10, 20, 30)]
    lines += [{"step": 20, "validation_skill": 0.31}, {"step": 30, "validation_skill": 0.22}]
    log.write_text("\n".join(json.dumps(line) for line in lines))
    figure = figures.training_curves(log, tmp_path / "out" / "t.png")
    check_png(tmp_path / "out" / "t.png")
    assert "best 0.310" in texts(figure)
    assert figure.axes[0].get_yscale() == "log"
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [1 / 10, 1 / 20, 1 / 30])


def test_training_curves_of_many_losses(tmp_path):
    names = [f"loss_{letter}" for letter in "abcdefghij"]
    line = {"step": 1, "loss": 1.0, "loss_pose_only_b": 2.0} | dict.fromkeys(names, 0.5)
    (tmp_path / "metrics.jsonl").write_text(json.dumps(line))
    drawn = figures.training_curves(tmp_path / "metrics.jsonl", tmp_path / "t.png").axes[0].lines
    drawn = {one.get_label(): one for one in drawn}
    assert drawn["pose only b"].get_color() == drawn["b"].get_color()
    assert drawn["pose only b"].get_linestyle() != drawn["b"].get_linestyle()
    assert len({drawn[letter].get_color() for letter in "abcdefgh"}) == 8


@pytest.mark.parametrize("text", ["", "{", '{"step": 1, "grad_norm": 2}'])
def test_logs_without_losses_are_refused(tmp_path, text):
    log = tmp_path / "metrics.jsonl"
    log.write_text(text)
    with pytest.raises(UserError, match=r"metrics\.jsonl"):
        figures.training_curves(log, tmp_path / "t.png")
    with pytest.raises(UserError, match="cannot read"):
        figures.training_curves(tmp_path / "none.jsonl", tmp_path / "t.png")
    assert not (tmp_path / "t.png").exists()


def test_the_same_figure_gives_the_same_bytes(run, tmp_path):
    for name in ("a.png", "b.png"):
        figures.skill_by_action(run, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
