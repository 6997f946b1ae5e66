"""From a video file to EMG, score and feedback: the evaluator's EMG, and honest ends."""

import csv
import dataclasses
import io
import json
import shutil

import jax
import numpy as np
import pytest
from PIL import Image

import video2emg
from tests.conftest import shared
from tests.data.test_recordings import turn_clockwise
from video2emg.cli import predict
from video2emg.core.errors import UserError
from video2emg.data import video as video_lib
from video2emg.data.readers import film
from video2emg.data.store import open_dataset
from video2emg.eval import evaluate
from video2emg.eval.intervals import Samples, tabulate
from video2emg.eval.out_of_domain import LEVEL, EncoderFeatures, OODDetector
from video2emg.inference.output import video
from video2emg.inference.video_input import VideoInput, assign
from video2emg.parallel import mesh as mesh_lib
from video2emg.run import setup
from video2emg.run.workdir import read_config
from video2emg.train.step import predict_step


@pytest.fixture(scope="module")
def predictor(run_dir):
    return video2emg.load(run_dir)


@pytest.fixture(scope="module")
def judging(judge_dir):
    return video2emg.load(judge_dir)


def film_of(clip, view):
    for frame in np.flatnonzero(clip.frame_view == clip.views.index(view)):
        picture = Image.open(io.BytesIO(clip.frames[frame])).convert("RGB")
        yield float(clip.frame_time[frame]), picture


def files_of(clip, folder):
    """Lossless videos of all views of a clip."""
    for view in clip.views:
        video.write(folder / f"{view}.mkv", film_of(clip, view), rate=6.0, lossless=True)
    return [f"{view}={folder / view}.mkv" for view in clip.views]


def test_the_emg_is_the_evaluators(predictor, run_dir, tiny_dir, test_split, tmp_path):
    config = read_config(run_dir)
    examples = setup.load_splits(config, open_dataset("gymsim/tiny", tiny_dir))[0]["test"]
    step, mesh = jax.jit(predict_step(predictor.run.model)), mesh_lib.make_mesh()
    params = jax.device_get(predictor.run.params)  # from one device to all
    expected = evaluate.predict(step, params, examples, 8, mesh)
    for index in range(2):
        clip = examples.clip(index)
        found = predictor.predict(files_of(clip, tmp_path / str(index)), action=clip.action)
        n = min(len(found.emg), len(expected[index]))
        assert n > 0.9 * len(expected[index])
        order = [found.muscles.index(m) for m in clip.muscles]
        np.testing.assert_allclose(found.emg[:n, order], expected[index][:n], atol=1e-5)
        assert np.ptp(found.emg, axis=0).min() > 0


@pytest.mark.parametrize("fps, rate", [(10.0, 5.0), (5.0, 12.5), (29.97, 5.0)])
def test_a_folder_of_pictures_is_sampled_as_clips_are(clips, tmp_path, fps, rate):
    from tests.conftest import make_clip

    clip = make_clip(fps=fps, views=("front",))
    for n, data in enumerate(clip.frames):
        (tmp_path / f"{n:04d}.jpg").write_bytes(data)
    wanted = np.arange(100) / rate
    index, mask = video_lib.nearest_frames(clip, 0, wanted)
    got = list(film.sample(tmp_path, rate, 8, folder_rate=fps))
    # Whether a frame exactly one period away still counts is up to the last bit of its time.
    assert abs(len(got) - mask.sum()) <= (fps == 29.97)
    for pixels, frame in zip(got, index, strict=False):
        np.testing.assert_array_equal(pixels, video_lib.decode(clip, int(frame), 8))


def test_frames_in_memory_are_as_good_as_a_file(predictor, test_split, tmp_path):
    clip = test_split[0]
    files = predictor.predict(files_of(clip, tmp_path))
    frames = {v: np.stack([np.asarray(p) for _, p in film_of(clip, v)]) for v in clip.views}
    arrays = predictor.predict(frames, rate=6.0)
    assert arrays.action == files.action
    # The clip's own frame times are rounded to 20 ms, those in memory are not.
    assert abs(len(arrays.emg) - len(files.emg)) <= 2
    assert np.abs(arrays.emg[:100] - files.emg[:100]).max() < 0.05


def test_a_long_video_is_cut_and_its_emg_is_seamless(predictor, test_split):
    clip = test_split[0]
    frames = {
        v: np.tile(np.stack([np.asarray(p) for _, p in film_of(clip, v)]), (4, 1, 1, 1))
        for v in clip.views
    }
    found = predictor.predict(frames, rate=6.0, action=clip.action, load=20.0)
    assert found.duration == pytest.approx(len(frames["front"]) / 6.0, abs=0.3)
    assert len(found.emg) == len(found.time) == round(found.duration * 50)
    assert np.isfinite(found.emg).all() and (found.emg >= 0).all()
    # Where windows meet there is no larger step than within what the model says of one.
    steps = np.abs(np.diff(found.emg, axis=0)).max(1)
    meet = np.zeros(len(steps), bool)
    for one in found.repetitions:
        meet |= np.abs(found.time[1:] - one.start) < 0.25
    assert meet.any() and not meet.all()
    assert steps[meet].max() <= 1.1 * steps[~meet].max()
    assert found.told_load == 20.0


def test_the_judge_speaks_and_its_files_are_what_the_documentation_says(
    judge_dir, run_dir, test_split, tmp_path, capsys
):
    clip = test_split[0]
    # The thresholds of a handful of clips are too strict to test the judge behind them.
    loose = OODDetector.load(run_dir)
    loose.distance[:], loose.motion[:] = 1e3, 1e-6
    judge_copy, run_copy = tmp_path / "aqa", tmp_path / "v2emg"
    shutil.copytree(judge_dir, judge_copy)
    shutil.copytree(run_dir, run_copy)
    loose.save(run_copy)
    config = json.loads((judge_copy / "config.json").read_text())
    (judge_copy / "config.json").write_text(json.dumps(config | {"video2emg": str(run_copy)}))
    videos = files_of(clip, tmp_path)
    out = tmp_path / "out"
    options = predict.Options(
        run=str(judge_copy), video=tuple(videos), out=str(out), action=clip.action, load=30.0
    )
    status = predict.run(options)
    assert status == predict.FINE
    assert capsys.readouterr().out == f"{out}\n"
    said = json.loads((out / "prediction.json").read_text())
    assert said["format"] == 1 and said["in_domain"] and said["load_kg"] == 30.0
    (one,) = said["repetitions"]
    assert 0 <= one["score"] <= 100 and one["score"] == said["score"]
    assert one["feedback"]["format"] == 1 and one["feedback"]["action"] == clip.action
    assert [p["step"] for p in one["phases"]] == [step for step, _, _ in clip.phases]
    edges = [p["start_s"] for p in one["phases"]] + [one["end_s"]]
    assert edges == sorted(edges)
    with (out / "emg.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert set(clip.muscles) <= set(rows[0]) and {"time_s", "repetition", "in_domain"} <= set(
        rows[0]
    )
    from pyarrow import parquet

    table = parquet.read_table(out / "emg.parquet")
    assert table.num_rows == len(rows) == said["emg"]["samples"]
    muscle = clip.muscles[0]
    np.testing.assert_allclose(
        table[muscle].to_numpy(), [float(row[muscle]) for row in rows], rtol=1e-4, atol=1e-6
    )
    # The same score as the evaluator's, but for the last samples, which a video does not show.
    from video2emg.aqa import report

    kept = report.load(judge_dir / "aqa_predictions.npz")["test"].score
    assert one["score"] == pytest.approx(kept[0], abs=1.0)


def test_an_empty_room_has_no_score(judging, empty_room):
    frames = dict.fromkeys(judging.run.window.views, np.tile(empty_room, (3, 1, 1, 1)))
    found = judging.predict(frames, rate=6.0)
    assert not found.in_domain and found.score is None
    assert all(r.score is None and r.feedback is None for r in found.repetitions)
    assert any("out of domain" in warning for warning in found.warnings)


@pytest.mark.parametrize("name", ["sports2d/demo.mp4", "pose2sim/cam03.mp4"])
def test_real_footage_is_out_of_domain(predictor, name, tmp_path):
    film = str(shared(f"data/videos/{name}"))
    options = predict.Options(run=str(predictor.run.workdir), video=(film,), out=str(tmp_path))
    assert predict.run(options) == predict.OUT_OF_DOMAIN
    said = json.loads((tmp_path / "prediction.json").read_text())
    assert not said["in_domain"] and said["score"] is None and said["emg"]["interval"] is None


def moving(count=40, size=(64, 48), rate=10.0, times=None):
    rng = np.random.default_rng(0)
    for n in range(count):
        pixels = np.full((size[1], size[0], 3), 90, np.uint8)
        x = int((size[0] - 8) * n / count)
        pixels[10:30, x : x + 8] = rng.integers(0, 255, 3)
        yield (n / rate if times is None else times[n]), Image.fromarray(pixels)


@pytest.mark.parametrize("size", [(64, 48), (3840, 2160), (48, 98)])
def test_any_frame_size_goes_through(predictor, size, tmp_path):
    video.write(tmp_path / "v.mp4", moving(14 if size[0] > 1000 else 40, size), rate=10.0)
    found = predictor.predict(tmp_path / "v.mp4")
    assert np.isfinite(found.emg).all() and "given front:" in " ".join(found.warnings)


def test_a_variable_frame_rate_keeps_its_clock(predictor, tmp_path):
    times = np.concatenate([np.arange(20) / 10, 2 + np.arange(20) / 30])
    video.write(tmp_path / "v.mkv", moving(times=times), rate=30.0, lossless=True)
    found = predictor.predict(tmp_path / "v.mkv")
    assert found.duration == pytest.approx(times[-1], abs=0.25)


def test_the_emg_ends_with_the_video(predictor, tmp_path):
    """Not with the model's last frame, which stands for a fifth of a second."""
    video.write(tmp_path / "v.mkv", moving(25), rate=10.0, lossless=True)
    found = predictor.predict(tmp_path / "v.mkv")
    assert found.duration == pytest.approx(2.5) and len(found.emg) == 125
    frames = np.stack([np.asarray(picture) for _, picture in moving(33)])
    found = predictor.predict({"front": frames}, rate=10.0)
    assert found.duration == pytest.approx(3.3) and len(found.emg) == 165


def test_rotated_phone_footage_is_predicted_upright(predictor, tmp_path):
    """Phones film sideways and write the rotation beside the pixels."""
    path = tmp_path / "phone.mp4"
    video.write(path, moving(30), rate=10.0)
    upright = [(time, picture.rotate(-90, expand=True)) for time, picture in film.frames(path)]
    video.write(tmp_path / "upright.mkv", upright, rate=10.0, lossless=True)
    as_filmed = predictor.predict(path)
    turn_clockwise(path)
    expected = predictor.predict(tmp_path / "upright.mkv")
    np.testing.assert_allclose(predictor.predict(path).emg, expected.emg, atol=1e-5)
    assert np.abs(as_filmed.emg - expected.emg).max() > 1e-4


def audio_only(path):
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        for n in range(10):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.rate, frame.pts = 8000, 1024 * n
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_what_is_no_video_costs_one_line(predictor, tmp_path):
    video.write(tmp_path / "one.mp4", moving(1), rate=10.0)
    video.write(tmp_path / "whole.mp4", moving(), rate=10.0)
    whole = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "truncated.mp4").write_bytes(whole[: len(whole) // 3])
    (tmp_path / "text.mp4").write_text("not a video")
    audio_only(tmp_path / "audio.mp4")
    for name, says in {
        "one": "0.0 s of video",
        "text": "damaged, or not a video",
        "audio": "no video stream",
        "missing": "no such file",
    }.items():
        with pytest.raises(UserError, match=says) as caught:
            predictor.predict(tmp_path / f"{name}.mp4")
        assert f"{name}.mp4" in str(caught.value) and "\n" not in str(caught.value)
    try:  # what is left of a truncated file is used, or it is refused
        found = predictor.predict(tmp_path / "truncated.mp4")
        assert found.duration < 4.0
    except UserError as error:
        assert "truncated.mp4" in str(error)


def test_a_folder_is_a_batch_and_its_failures_are_told(predictor, tmp_path, capsys):
    video.write(tmp_path / "in" / "good.mp4", moving(), rate=10.0)
    (tmp_path / "in" / "bad.mp4").write_text("nothing")
    out = tmp_path / "out"
    options = predict.Options(
        run=str(predictor.run.workdir), video=(str(tmp_path / "in"),), out=str(out)
    )
    assert predict.run(options) == predict.SOME_FAILED
    written = capsys.readouterr()
    assert written.out == f"{out / 'good.mp4'}\n" and "bad.mp4" in written.err
    assert (out / "good.mp4" / "prediction.json").exists() and not (out / "bad.mp4").exists()
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="no video in it"):
        predict.run(dataclasses.replace(options, video=(str(tmp_path / "none"),)))
    with pytest.raises(UserError, match="--measured belongs to one recording"):
        predict.run(dataclasses.replace(options, measured="emg.csv"))


def test_mistakes_cost_one_line(predictor, tmp_path):
    with pytest.raises(UserError, match="--action 'swimming'"):
        predictor.predict(tmp_path / "v.mp4", action="swimming")
    with pytest.raises(UserError, match="--load"):
        predictor.predict(tmp_path / "v.mp4", load=-1.0)
    with pytest.raises(UserError, match="unknown views"):
        predictor.predict({"above": np.zeros((20, 8, 8, 3), np.uint8)}, rate=5.0)
    with pytest.raises(UserError, match="uint8"):
        predictor.predict({"front": np.zeros((20, 8, 8))}, rate=5.0)
    with pytest.raises(UserError, match="3 videos for the 2 views"):
        assign(["a", "b", "c"], ("front", "left"))
    with pytest.raises(UserError, match="given twice"):
        assign(["front=a", "front=b"], ("front", "left"))
    assert list(assign(["front=a", "b"], ("left", "front"))) == ["front", "left"]
    with pytest.raises(UserError, match="no configuration"):
        video2emg.load(tmp_path)


def test_windows_show_each_frame_where_it_belongs(predictor):
    window = predictor.run.window
    frames = np.arange(60, dtype=np.uint8)[:, None, None, None] + np.zeros((8, 8, 3), np.uint8)
    footage = VideoInput.of_arrays({"front": frames}, window.frame_rate, window)
    cut = footage.read_window(2.0, end=3.0)
    assert cut["video"][0, :5, 0, 0, 0].tolist() == [10, 11, 12, 13, 14]
    assert cut["video_mask"].sum() == 5 and not cut["video_mask"][1].any()
    covered = np.zeros(60, bool)
    for start in footage.sliding:
        first = round(start * window.frame_rate)
        covered[first : first + len(window.frame_time)] = True
    assert covered.all()


def test_intervals_hold_on_samples_they_have_not_seen():
    rng = np.random.default_rng(0)
    muscle = np.full(40_000, 17)  # vastus lateralis

    def draw():
        predicted = rng.uniform(0, 1, len(muscle)).astype(np.float32)
        return predicted, (0.02 + 0.3 * predicted) * rng.normal(size=len(muscle))

    predicted, error = draw()
    nothing = np.zeros((30, 1, 4), np.float32)
    look = EncoderFeatures(
        nothing + rng.normal(size=nothing.shape), np.ones((30, 1)), np.ones((30, 1), bool)
    )
    about = {"muscles": {"squat": ["left_vastus_lateralis"]}}
    labels = np.zeros(30, np.int32)
    samples = Samples(predicted, error, muscle, rng.integers(0, 5, len(muscle)))
    domain = OODDetector.fit(look, labels, look, labels, tabulate(samples, LEVEL), about)
    predicted, error = draw()
    low, high = domain.interval(predicted[:, None], None, ("left_vastus_lateralis",))
    measured = np.maximum(predicted + error, 0)
    inside = (measured >= low[:, 0]) & (measured <= high[:, 0])
    for part in (predicted > 0.9, predicted >= 0):
        assert inside[part].mean() == pytest.approx(0.9, abs=0.06)
    assert inside[predicted < 0.1].mean() > 0.84  # more: nothing is measured below zero
    assert domain.interval(predicted[:, None], None, ("left_soleus",)) is None
