"""From a video file to EMG, score and feedback."""

import csv
import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

import video2emg
from tests.conftest import make_clip, shared
from tests.data.test_recordings import turn_clockwise
from tests.inference.conftest import arrays_of, moving_square, write_audio_only, write_videos
from video2emg.aqa import report
from video2emg.aqa.set_pooling import SetPooling
from video2emg.cli import predict
from video2emg.core.errors import UserError
from video2emg.core.files import write_json
from video2emg.data import video as video_lib
from video2emg.data.examples import Examples
from video2emg.data.readers import film
from video2emg.data.repetitions import cut
from video2emg.data.store import open_dataset
from video2emg.eval import evaluate
from video2emg.eval.intervals import Samples, tabulate
from video2emg.eval.out_of_domain import LEVEL, EncoderFeatures, OODDetector
from video2emg.inference import predictor as predictor_lib
from video2emg.inference.output import video
from video2emg.inference.predictor import Predictor
from video2emg.inference.run import open_run
from video2emg.inference.video_input import VideoInput, assign_views
from video2emg.parallel import mesh as mesh_lib
from video2emg.run import setup
from video2emg.run.workdir import read_config
from video2emg.sim import record as sim
from video2emg.sim.trials import plan_trials
from video2emg.train.step import predict_step


@pytest.fixture(scope="module")
def predictor(run_dir):
    return video2emg.load(run_dir)


@pytest.fixture(scope="module")
def aqa_predictor(aqa_dir):
    return video2emg.load(aqa_dir)


@pytest.fixture(scope="module")
def lenient_run(aqa_predictor):
    """A run that gives a score; the thresholds of a handful of clips are too strict."""
    run = aqa_predictor.run
    lenient = dataclasses.replace(
        run.ood_detector,
        distance=np.full_like(run.ood_detector.distance, 1e3),
        motion=np.full_like(run.ood_detector.motion, 1e-6),
    )
    return dataclasses.replace(run, ood_detector=lenient)


@pytest.mark.parametrize("whole_sets", [False, True])
def test_emg_equals_that_of_the_evaluation(
    predictor, run_dir, tiny_dir, test_split, tmp_path, whole_sets
):
    """In one window, and in the overlapping windows of a set filmed at the model's frame rate.

    Both scale the stored pictures to the size of the model.
    """
    config = read_config(run_dir)
    dataset = open_dataset("gymsim/tiny", tiny_dir)
    examples = setup.load_splits(config, dataset)[0]["test"]
    clips = test_split
    if whole_sets:
        studio = sim.Studio(size=48, fps=predictor.run.window.frame_rate)
        clips = [sim.record(trial, studio) for trial in plan_trials(1, 1, 4)[:2]]
    examples = Examples(clips, examples.window, examples.chain, examples.normalisation)
    step, mesh = jax.jit(predict_step(predictor.run.model)), mesh_lib.make_mesh()
    params = jax.device_get(predictor.run.params)  # from one device to all
    assert predictor.run.window.size != 48  # px, of the stored frames and the videos
    expected = evaluate.predict(step, params, examples, 8, mesh)
    for index in range(2):
        clip = examples.clip(index)
        videos = write_videos(clip, tmp_path / str(index))
        prediction = predictor.predict(videos, action=clip.action)
        n = min(len(prediction.emg), len(expected[index]))
        assert n > 0.9 * len(expected[index])
        if whole_sets:  # the last window ends with the EMG here, and with the film there
            starts = examples.window_starts(index)
            assert len(starts) > 3
            n = int(starts[-2] * examples.window.emg_rate)
        order = [prediction.muscles.index(m) for m in clip.muscles]
        np.testing.assert_allclose(prediction.emg[:n, order], expected[index][:n], atol=1e-5)
        assert np.ptp(prediction.emg, axis=0).min() > 0


@pytest.mark.parametrize("fps, rate", [(10.0, 5.0), (5.0, 12.5), (29.97, 5.0)])
def test_a_folder_of_pictures_is_sampled_as_clips_are(tmp_path, fps, rate):
    clip = make_clip(fps=fps, views=("front",))
    for n, data in enumerate(clip.frames):
        (tmp_path / f"{n:04d}.jpg").write_bytes(data)
    times = np.arange(100) / rate
    index, mask = video_lib.nearest_frames(clip, 0, times)
    sampled = list(film.sample_frames(film.read_frames(tmp_path, fps), rate, 8))
    # Whether a frame that is exactly one period away still counts is up to the last bit of its
    # time.
    assert abs(len(sampled) - mask.sum()) <= (fps == 29.97)
    for pixels, frame in zip(sampled, index, strict=False):
        np.testing.assert_array_equal(pixels, video_lib.decode(clip, int(frame), 8))


def test_frames_in_memory_give_the_same_as_a_file(predictor, test_split, tmp_path):
    clip = test_split[0]
    from_files = predictor.predict(write_videos(clip, tmp_path))
    from_arrays = predictor.predict(arrays_of(clip), rate=6.0)
    assert from_arrays.action == from_files.action
    # The clip's frame times are rounded to 20 ms, those in memory are not.
    assert abs(len(from_arrays.emg) - len(from_files.emg)) <= 2
    assert np.abs(from_arrays.emg[:100] - from_files.emg[:100]).max() < 0.05


def test_a_long_video_is_segmented_and_its_emg_has_no_steps(predictor, test_split):
    clip = test_split[0]
    frames = {view: np.tile(array, (4, 1, 1, 1)) for view, array in arrays_of(clip).items()}
    prediction = predictor.predict(frames, rate=6.0, action=clip.action, load=20.0)
    assert prediction.duration == pytest.approx(len(frames["front"]) / 6.0, abs=0.3)
    assert len(prediction.emg) == len(prediction.time) == round(prediction.duration * 50)
    assert np.isfinite(prediction.emg).all() and (prediction.emg >= 0).all()
    # Where windows meet, no step is larger than those within a window.
    steps = np.abs(np.diff(prediction.emg, axis=0)).max(1)
    near_start = np.zeros(len(steps), bool)
    for repetition in prediction.repetitions:
        near_start |= np.abs(prediction.time[1:] - repetition.start) < 0.25
    assert near_start.any() and not near_start.all()
    assert steps[near_start].max() <= 1.1 * steps[~near_start].max()
    assert prediction.load == 20.0


def test_score_and_files_are_as_documented(
    lenient_run, aqa_dir, test_sets, tmp_path, capsys, monkeypatch
):
    clip = cut(test_sets[0], 0, lenient_run.window.seconds)
    monkeypatch.setattr(predictor_lib, "open_run", lambda workdir: lenient_run)
    videos, out = write_videos(clip, tmp_path), tmp_path / "out"
    options = predict.Options(
        run=str(aqa_dir), video=tuple(videos), out=str(out), action=clip.action, load=30.0
    )
    assert predict.run(options) == predict.FINE
    assert capsys.readouterr().out == f"{out}\n"
    prediction = json.loads((out / "prediction.json").read_text())
    assert prediction["format"] == 2 and prediction["in_domain"] and prediction["load_kg"] == 30.0
    (repetition,) = prediction["repetitions"]
    assert 0 <= repetition["score"] <= 100 and repetition["score"] == prediction["score"]
    assert repetition["no_score_reason"] == "" and np.isfinite(repetition["predicted_load_kg"])
    assert repetition["feedback"]["format"] == 2
    assert repetition["feedback"]["action"] == clip.action
    assert [p["step"] for p in repetition["phases"]] == [step for step, _, _ in clip.phases]
    edges = [p["start_s"] for p in repetition["phases"]] + [repetition["end_s"]]
    assert edges == sorted(edges)
    with (out / "emg.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {*clip.muscles, "time_s", "repetition", "in_domain"} <= set(rows[0])
    from pyarrow import parquet

    table = parquet.read_table(out / "emg.parquet")
    assert table.num_rows == len(rows) == prediction["emg"]["samples"]
    muscle = clip.muscles[0]
    np.testing.assert_allclose(
        table[muscle].to_numpy(), [float(row[muscle]) for row in rows], rtol=1e-4, atol=1e-6
    )
    # The score of the evaluation differs a little: the last samples are not in the video.
    expected = report.load(aqa_dir / "aqa_predictions.npz")["test"].score
    assert repetition["score"] == pytest.approx(expected[0], abs=2.0)


def test_repetitions_of_a_film_are_judged_together(lenient_run, test_sets):
    clip = test_sets[0]
    frames = {view: np.tile(array, (2, 1, 1, 1)) for view, array in arrays_of(clip).items()}

    def predicted(pooling):
        head = dataclasses.replace(lenient_run.aqa_head, pooling=pooling)
        run = dataclasses.replace(lenient_run, aqa_head=head)
        return Predictor(run).predict(frames, rate=6.0, action=clip.action)

    pooling = SetPooling(own=0.7, others=0.6, offset=0.2)
    alone, together = predicted(SetPooling()), predicted(pooling)
    judged = [r for r in alone.repetitions if r.score is not None]
    assert len(judged) > 1
    probability = np.array([list(r.errors.values()) for r in judged])
    logit = np.log(probability / (1 - probability))
    others = (logit.sum(0) - logit) / (len(judged) - 1)
    expected = 1 / (1 + np.exp(-(0.7 * logit + 0.6 * others + 0.2)))
    now = [r for r in together.repetitions if r.score is not None]
    np.testing.assert_allclose([list(r.errors.values()) for r in now], expected, rtol=1e-4)
    assert all(
        a.score != b.score and a.phases == b.phases for a, b in zip(judged, now, strict=True)
    )
    assert [r.start for r in now] == [r.start for r in judged]


def test_an_empty_room_has_no_score(aqa_predictor, empty_room):
    frames = dict.fromkeys(aqa_predictor.run.window.views, np.tile(empty_room, (3, 1, 1, 1)))
    prediction = aqa_predictor.predict(frames, rate=6.0)
    assert not prediction.in_domain and prediction.score is None
    assert all(r.score is None and r.feedback is None for r in prediction.repetitions)
    assert any("out of domain" in warning for warning in prediction.warnings)


@pytest.mark.parametrize("name", ["sports2d/demo.mp4", "pose2sim/cam03.mp4"])
def test_real_videos_are_out_of_domain(run_dir, name, tmp_path):
    path = str(shared(f"data/videos/{name}"))
    options = predict.Options(run=str(run_dir), video=(path,), out=str(tmp_path))
    assert predict.run(options) == predict.OUT_OF_DOMAIN
    prediction = json.loads((tmp_path / "prediction.json").read_text())
    assert not prediction["in_domain"] and prediction["score"] is None
    assert prediction["emg"]["interval"] is None


@pytest.mark.parametrize("simulated, name", [(True, "flex/cross_subject"), (False, "gymsim/tiny")])
def test_simulated_training_is_told_by_the_dataset_and_not_by_its_name(
    predictor, test_split, simulated, name
):
    """A simulated dataset may be stored in the layout of another one."""
    run = predictor.run
    assert run.ood_detector.about["simulated"] is True  # as the dataset of the run says
    config = run.config.copy_and_resolve_references()
    config.data.name = name
    about = dict(run.ood_detector.about) | {"simulated": simulated, "dataset": name}
    detector = dataclasses.replace(run.ood_detector, about=about)
    other = Predictor(dataclasses.replace(run, config=config, ood_detector=detector))
    prediction = other.predict(arrays_of(test_split[0]), rate=6.0)
    assert prediction.simulated is simulated
    assert prediction.to_json()["emg"]["simulated_training"] is simulated
    assert simulated is any("simulated people" in warning for warning in prediction.warnings)


@pytest.mark.parametrize("size", [(64, 48), (3840, 2160), (48, 98)])
def test_any_frame_size_is_accepted(predictor, size, tmp_path):
    count, rate = (7, 5.0) if size[0] > 1000 else (40, 10.0)
    video.write(tmp_path / "v.mp4", moving_square(count, size, rate), rate=rate)
    prediction = predictor.predict(tmp_path / "v.mp4")
    assert np.isfinite(prediction.emg).all()
    assert "given front:" in " ".join(prediction.warnings)


def test_a_variable_frame_rate_keeps_its_times(predictor, tmp_path):
    times = np.concatenate([np.arange(20) / 10, 2 + np.arange(20) / 30])
    video.write(tmp_path / "v.mkv", moving_square(times=times), rate=30.0, lossless=True)
    assert predictor.predict(tmp_path / "v.mkv").duration == pytest.approx(times[-1], abs=0.25)


def test_the_emg_ends_with_the_video(predictor, tmp_path):
    """And not with the model's last frame, which stands for a fifth of a second."""
    video.write(tmp_path / "v.mkv", moving_square(25), rate=10.0, lossless=True)
    prediction = predictor.predict(tmp_path / "v.mkv")
    assert prediction.duration == pytest.approx(2.5) and len(prediction.emg) == 125
    frames = np.stack([np.asarray(picture) for _, picture in moving_square(33)])
    prediction = predictor.predict({"front": frames}, rate=10.0)
    assert prediction.duration == pytest.approx(3.3) and len(prediction.emg) == 165


def test_rotated_phone_videos_are_predicted_upright(predictor, tmp_path):
    """Phones film sideways and store the rotation beside the pixels."""
    path = tmp_path / "phone.mp4"
    video.write(path, moving_square(30), rate=10.0)
    upright = [(t, decode().rotate(-90, expand=True)) for t, decode in film.read_frames(path)]
    video.write(tmp_path / "upright.mkv", upright, rate=10.0, lossless=True)
    without_mark = predictor.predict(path)
    turn_clockwise(path)
    expected = predictor.predict(tmp_path / "upright.mkv")
    np.testing.assert_allclose(predictor.predict(path).emg, expected.emg, atol=1e-5)
    assert np.abs(without_mark.emg - expected.emg).max() > 1e-4


def test_files_that_are_no_video_give_one_line(predictor, tmp_path):
    video.write(tmp_path / "one.mp4", moving_square(1), rate=10.0)
    video.write(tmp_path / "whole.mp4", moving_square(), rate=10.0)
    whole = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "truncated.mp4").write_bytes(whole[: len(whole) // 3])
    (tmp_path / "text.mp4").write_text("not a video")
    write_audio_only(tmp_path / "audio.mp4")
    for name, message in {
        "one": "0.0 s of video",
        "text": "damaged, or not a video",
        "audio": "no video stream",
        "missing": "no such file",
    }.items():
        with pytest.raises(UserError, match=message) as caught:
            predictor.predict(tmp_path / f"{name}.mp4")
        assert f"{name}.mp4" in str(caught.value) and "\n" not in str(caught.value)
    try:  # the readable part of a truncated file is used, or the file is refused
        assert predictor.predict(tmp_path / "truncated.mp4").duration < 4.0
    except UserError as error:
        assert "truncated.mp4" in str(error)


def test_a_folder_is_a_batch_and_its_failures_are_reported(run_dir, tmp_path, capsys):
    video.write(tmp_path / "in" / "good.mp4", moving_square(), rate=10.0)
    (tmp_path / "in" / "bad.mp4").write_text("nothing")
    out = tmp_path / "out"
    options = predict.Options(run=str(run_dir), video=(str(tmp_path / "in"),), out=str(out))
    assert predict.run(options) == predict.SOME_FAILED
    printed = capsys.readouterr()
    assert printed.out == f"{out / 'good.mp4'}\n" and "bad.mp4" in printed.err
    assert (out / "good.mp4" / "prediction.json").exists() and not (out / "bad.mp4").exists()
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="no video in it"):
        predict.run(dataclasses.replace(options, video=(str(tmp_path / "none"),)))
    with pytest.raises(UserError, match="--measured belongs to one recording"):
        predict.run(dataclasses.replace(options, measured="emg.csv"))


def test_wrong_arguments_give_one_line(predictor, tmp_path):
    with pytest.raises(UserError, match="--action 'swimming'"):
        predictor.predict(tmp_path / "v.mp4", action="swimming")
    with pytest.raises(UserError, match="--load"):
        predictor.predict(tmp_path / "v.mp4", load=-1.0)
    with pytest.raises(UserError, match="unknown views"):
        predictor.predict({"above": np.zeros((20, 8, 8, 3), np.uint8)}, rate=5.0)
    with pytest.raises(UserError, match="uint8"):
        predictor.predict({"front": np.zeros((20, 8, 8))}, rate=5.0)
    with pytest.raises(UserError, match="3 videos for the 2 views"):
        assign_views(["a", "b", "c"], ("front", "left"))
    with pytest.raises(UserError, match="given twice"):
        assign_views(["front=a", "front=b"], ("front", "left"))
    assert list(assign_views(["front=a", "b"], ("left", "front"))) == ["front", "left"]


def test_a_run_that_is_not_finished_is_refused(run_dir, aqa_dir, tmp_path):
    with pytest.raises(UserError, match="no configuration"):
        open_run(tmp_path)
    for source, names in {
        run_dir: ("ood_detector.npz", "results.json"),
        aqa_dir: ("aqa_head.json", "results.json"),
    }.items():
        copy = shutil.copytree(source, tmp_path / source.name)
        for name in names:
            (copy / name).rename(tmp_path / name)
            with pytest.raises(UserError, match=f"{copy}: the run is not finished: {name}") as e:
                open_run(copy)
            assert "\n" not in str(e.value)
            (tmp_path / name).rename(copy / name)


@pytest.mark.parametrize(
    "field, value, message",
    [
        ("job", "personalise", "expected video2emg or aqa"),
        ("emg_source", "measured", "trained on measured EMG"),
        ("extra_inputs", ["load"], "also reads load"),
        ("published.system", "core", "no errors"),
        ("train.loss.error", 0.0, "no errors"),
        ("model.score", "relative", "compares with repetitions"),
    ],
)
def test_runs_that_cannot_score_a_video_are_refused(aqa_dir, tmp_path, field, value, message):
    config = json.loads((aqa_dir / "config.json").read_text())
    *path, name = field.split(".")
    section = config
    for key in path:
        section = section[key]
    section[name] = value
    write_json(tmp_path / "config.json", config)
    with pytest.raises(UserError, match=message):
        open_run(tmp_path)


def test_windows_show_each_frame_at_its_time(predictor):
    window = predictor.run.window
    frames = np.arange(60, dtype=np.uint8)[:, None, None, None] + np.zeros((8, 8, 3), np.uint8)
    video_input = VideoInput.from_arrays({"front": frames}, window.frame_rate, window)
    example = video_input.read_window(2.0, end=3.0)
    assert example["video"][0, :5, 0, 0, 0].tolist() == [10, 11, 12, 13, 14]
    assert example["video_mask"].sum() == 5 and not example["video_mask"][1].any()
    covered = np.zeros(60, bool)
    for start in video_input.window_starts:
        first = round(start * window.frame_rate)
        covered[first : first + len(window.frame_time)] = True
    assert covered.all()


def test_intervals_hold_on_new_samples():
    rng = np.random.default_rng(0)
    muscle = np.full(40_000, 17)  # vastus lateralis

    def draw():
        predicted = rng.uniform(0, 1, len(muscle)).astype(np.float32)
        return predicted, (0.02 + 0.3 * predicted) * rng.normal(size=len(muscle))

    predicted, error = draw()
    zeros = np.zeros((30, 1, 4), np.float32)
    features = EncoderFeatures(
        zeros + rng.normal(size=zeros.shape), np.ones((30, 1)), np.ones((30, 1), bool)
    )
    about = {"muscles": {"squat": ["left_vastus_lateralis"]}}
    labels = np.zeros(30, np.int32)
    samples = Samples(predicted, error, muscle, rng.integers(0, 5, len(muscle)))
    detector = OODDetector.fit(features, labels, features, labels, tabulate(samples, LEVEL), about)
    predicted, error = draw()
    low, high = detector.interval(predicted[:, None], None, ("left_vastus_lateralis",))
    measured = np.maximum(predicted + error, 0)
    inside = (measured >= low[:, 0]) & (measured <= high[:, 0])
    for part in (predicted > 0.9, predicted >= 0):
        assert inside[part].mean() == pytest.approx(0.9, abs=0.06)
    assert inside[predicted < 0.1].mean() > 0.84  # more, as nothing is measured below zero
    assert detector.interval(predicted[:, None], None, ("left_soleus",)) is None
