"""From videos to EMG, repetitions, score and feedback; docs/predict.md describes the steps."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from pathlib import Path
from typing import NamedTuple

import numpy as np

from video2emg.aqa.predictions import AQAPredictions
from video2emg.core.batch import blank_batch, muscle_queries
from video2emg.core.equipment import check_equipment, load_shares, name_of_shares
from video2emg.core.errors import UserError
from video2emg.core.overlap_add import OverlapAdd
from video2emg.core.pose_track import PoseTrack
from video2emg.data.film_pose import FilmOptions, FilmPose, film_to_pose
from video2emg.data.repetitions import bounds
from video2emg.eval.forward import ModelOutputs
from video2emg.eval.out_of_domain import EncoderFeatures, OODScore
from video2emg.fkg.feedback import feedback
from video2emg.inference import repetitions as repetitions_lib
from video2emg.inference.counterfactual import Correction, corrections
from video2emg.inference.mechanics import Settings
from video2emg.inference.pose_input import PoseInput
from video2emg.inference.prediction import RELATIVE, Prediction, Repetition
from video2emg.inference.recognition import Recognition, recognise
from video2emg.inference.run import PRETRAINED, Run, TrainedAQAHead, open_run
from video2emg.inference.spool import Spool
from video2emg.inference.video_input import VideoInput, assign_views, split_view

BATCH = 8  # windows at a time
Progress = Callable[[str], None]
Span = tuple[float, float]  # start and end, s
Recording = VideoInput | PoseInput
# Start of the window in s, inputs of the AQA head, predicted load in kg.
HeadInputs = tuple[float, Mapping[str, np.ndarray], float | None]


class _Sliding(NamedTuple):
    """What overlapping windows of a recording say. N samples, M muscles.

    Attributes:
      emg: [N, M] of all muscles.
      predicted_mae: [N, M] its predicted error; 1 if the model predicts none.
      torque: [N, D] joint torques, N·m; None if the model has no mechanics.
      spans: start and end of each repetition, s.
      features: of the encoder, of each window.
    """

    emg: np.ndarray
    predicted_mae: np.ndarray
    torque: np.ndarray | None
    spans: list[Span]
    features: list[EncoderFeatures]


def _ignore(message: str) -> None:
    """The default of `progress`."""


class Predictor:
    """A trained run that predicts from videos.

    Attributes:
      run: the opened run.
    """

    def __init__(self, run: Run) -> None:
        """Wraps an opened run; `video2emg.load` opens one."""
        self.run = run
        muscles = [m for names in run.ood_detector.about["muscles"].values() for m in names]
        self._muscles = tuple(dict.fromkeys(muscles))  # of all actions, queried together
        self._compiled = False

    @classmethod
    def load(cls, workdir: str | Path = PRETRAINED) -> "Predictor":
        """Opens the workdir of a finished run, see `run.open_run`."""
        return cls(open_run(workdir))

    @property
    def actions(self) -> tuple[str, ...]:
        """Exercises of the training data."""
        return self.run.ood_detector.actions

    def predict(
        self,
        videos: str | Path | Sequence[str | Path] | Mapping[str, np.ndarray],
        *,
        action: str = "",
        load: float | None = None,
        equipment: str = "",
        rate: float = math.nan,
        name: str = "",
        film: FilmOptions | None = None,
        progress: Progress = _ignore,
    ) -> Prediction:
        """Predicts one recording.

        A model that reads poses is given the pose that is estimated in the films, see
        `data.film_pose`.

        Args:
          videos: files (or folders of pictures), `view=path` or in the order of the model's views;
            or frames in memory, [F, H, W, 3] uint8 by view. All views begin at the same instant.
          action: the exercise; recognised if it is not given.
          load: kg; copied to the prediction, and an input of models with `load` in `extra_inputs`.
          equipment: where the load is, a name of `core.equipment.EQUIPMENT`; else the action says.
          rate: frame rate of frames in memory or folders of pictures, Hz.
          name: of the recording; by default the name of the first file.
          film: how the pose is estimated, and the height of the person.
          progress: called with messages about the progress.

        Raises:
          UserError: an unknown action or view, a video that cannot be read, or no weights of the
            pose estimator.
        """
        self._check(action, load, equipment)
        if self.run.reads_pose:
            if isinstance(videos, Mapping):
                raise UserError("a model that reads poses needs files, not frames in memory")
            paths = [videos] if isinstance(videos, str | Path) else videos
            films = [split_view(path)[1] for path in paths]
            film = dataclasses.replace(film or FilmOptions(), folder_rate=rate)
            pose = self._watch(films, film, progress)
            return self.predict_pose(
                pose,
                action=action,
                load=load,
                equipment=equipment,
                height=film.body.height,
                name=name or films[0].name,
                progress=progress,
            )
        views = self.run.window.views
        if isinstance(videos, Mapping):
            if unknown := set(videos) - set(views):
                raise UserError(f"unknown views {sorted(unknown)}; the model has {views}")
            video = VideoInput.from_arrays(videos, rate, self.run.window)
        else:
            paths = [videos] if isinstance(videos, str | Path) else list(videos)
            sources = assign_views(paths, views)
            if not sources:
                raise UserError("no video given")
            name = name or next(iter(sources.values())).name
            progress(f"{name}: reading")
            video = VideoInput.read(sources, self.run.window, rate)
        try:
            return self._predict(video, action, load, name or "recording", progress)
        finally:
            video.close()

    def predict_pose(
        self,
        pose: FilmPose,
        *,
        action: str = "",
        load: float | None = None,
        equipment: str = "",
        height: float = math.nan,
        name: str = "",
        progress: Progress = _ignore,
    ) -> Prediction:
        """Predicts from a pose that is there already, of a film or of another program.

        Args:
          pose: of `data.film_pose.film_to_pose` or `track_to_pose`.
          action: as of `predict`, as are load, equipment and progress.
          load: kg.
          equipment: where the load is.
          progress: called with messages.
          height: of the person, m.
          name: of the recording.

        Raises:
          UserError: the model reads pictures, or an unknown action.
        """
        self._check(action, load, equipment)
        if not self.run.reads_pose:
            raise UserError(f"{self.run.workdir}: its model reads pictures, not poses")
        recording = PoseInput(pose, self.run.window, height, load, equipment, action)
        return self._predict(recording, action, load, name or pose.track.source, progress)

    def with_corrections(
        self, prediction: Prediction, equipment: str = "", height: float = math.nan
    ) -> Prediction:
        """A prediction from a pose with what each correction of a reported error would change.

        Repetitions without feedback get none. A warning says where mechanics cannot be computed.

        Args:
          prediction: from a pose.
          equipment: where the load is; else the action says.
          height: of the person, m; else of the joints. The mass is usual for the height.

        Raises:
          UserError: as of `check_corrections`, or the action does not say where the load is.
        """
        self.check_corrections(prediction.action, prediction.load, equipment)
        head, pose = self.run.aqa_head, prediction.pose
        assert head is not None and pose is not None
        shares = load_shares(prediction.action, equipment)
        if shares is None:
            raise UserError(
                f"--corrections: say where the load of {prediction.action} is: --equipment"
            )
        told = equipment or name_of_shares(shares)
        settings = Settings(load=prediction.load or 0.0, equipment=told, height=height)
        repetitions, warnings = [], list(prediction.warnings)
        for number, repetition in enumerate(prediction.repetitions, 1):
            findings = () if repetition.feedback is None else repetition.feedback.findings
            severities = {(f.step, f.error): f.probability * f.severity for f in findings}
            changes: Sequence[Correction] = ()
            try:
                if severities:
                    changes = corrections(
                        pose.track,
                        repetition.phases,
                        severities,
                        head.graph,
                        prediction.action,
                        settings,
                        estimated=bool(pose.films),
                    )
            except UserError as error:
                warnings.append(f"no corrections of repetition {number}: {error}")
            if changes and (hidden := _hidden(pose.track, repetition)):
                warnings.append(
                    f"corrections of repetition {number} are uncertain: {', '.join(hidden)} seen "
                    "less than half of the time"
                )
            repetitions.append(dataclasses.replace(repetition, corrections=tuple(changes)))
        return dataclasses.replace(
            prediction, repetitions=tuple(repetitions), warnings=tuple(warnings)
        )

    def check_corrections(self, action: str, load: float | None, equipment: str) -> None:
        """Refuses what `with_corrections` cannot do, before a film is read.

        Args:
          action: the exercise; empty if it will be recognised.
          load: kg; None if it is not told.
          equipment: where the load is; empty if it is not told.

        Raises:
          UserError: the run reads pictures or has no AQA head, or the load is not told.
        """
        if not self.run.reads_pose or self.run.aqa_head is None:
            raise UserError(
                "--corrections: needs a run with an AQA head on poses, as the one in the package"
            )
        shares = load_shares(action, equipment)
        if load is None and (shares is None or shares.any()):
            raise UserError("--corrections: needs the load: --load, or --equipment none")

    def _watch(self, films: Sequence[Path], options: FilmOptions, progress: Progress) -> FilmPose:
        """The pose that films show; the model is compiled meanwhile."""
        with futures.ThreadPoolExecutor(1) as pool:
            compiling: list[futures.Future[None]] = []

            def heard(message: str) -> None:
                # The first message comes when a film could be read. Most mistakes are told before,
                # and need not wait for the compiler; later ones wait until it is done.
                if not compiling:
                    compiling.append(pool.submit(self._compile))
                progress(message)

            pose = film_to_pose(films, options, heard)
            for done in compiling:
                done.result()
        return pose

    def _compile(self) -> None:
        """Compiles the model for the batches of `_run_windows`, once."""
        if not self._compiled:
            self.run.forward(blank_batch(self.run.window, BATCH, self._muscles))
            self._compiled = True

    def _check(self, action: str, load: float | None, equipment: str) -> None:
        check_equipment(equipment, "--equipment")
        if action and action not in self.actions:
            raise UserError(f"--action {action!r}: the model knows {', '.join(self.actions)}")
        if load is not None and not (math.isfinite(load) and load >= 0):
            raise UserError(f"--load {load}: must be a mass in kg")

    def _predict(
        self, video: Recording, action: str, load: float | None, name: str, progress: Progress
    ) -> Prediction:
        """Predicts from sampled frames or a pose."""
        run = self.run
        duration = min(video.end, video.seconds)
        time = np.arange(round(duration * run.window.emg_rate)) / run.window.emg_rate
        progress(f"{name}: {video.seconds:.1f} s, predicting overlapping windows")
        sliding = self._predict_sliding(video, len(time), load)
        emg, predicted_mae, torque, spans, window_features = sliding
        progress(f"{name}: {len(spans)} repetitions, predicting each")
        features, head_inputs = self._predict_spans(video, spans, load)
        ood_scores = {
            span: run.ood_detector.score(
                features[span]
                if span in features
                else _nearest(window_features, video.window_starts, span[0])
            )
            for span in spans
        }
        recognition = None
        if not action:
            recognition = self._recognise(list(features.values()) or window_features)
            action = recognition.action
        muscles = tuple(run.ood_detector.about["muscles"][action])
        columns = [self._muscles.index(m) for m in muscles]
        if muscles != self._muscles:  # no copy of all of them: those of an hour are large
            emg, predicted_mae = emg[:, columns], predicted_mae[:, columns]
        interval = None
        if video.complete:  # intervals are calibrated with all views
            interval = run.ood_detector.interval(emg, predicted_mae, muscles)
        stored = iter(head_inputs)
        inputs = ((span, next(stored) if span in features else None) for span in spans)
        is_sure = recognition is None or recognition.is_sure
        repetitions = self._repetitions(inputs, ood_scores, action, columns, is_sure)
        prediction = Prediction(
            name=name,
            videos={view: str(path) for view, path in video.sources.items()},
            duration=duration,
            action=action,
            recognition=recognition,
            load=load,
            normalisation=run.config.data.normalisation,
            simulated=bool(run.ood_detector.about["simulated"]),
            time=time,
            muscles=muscles,
            emg=emg,
            low=None if interval is None else interval[0],
            high=None if interval is None else interval[1],
            level=float(run.ood_detector.about["level"]),
            sample_in_domain=_sample_in_domain(
                time, repetitions, window_features, video.window_starts, run
            ),
            repetitions=tuple(repetitions),
            warnings=(),
            run={"workdir": str(run.workdir), "dataset": run.config.data.name},
        )
        if isinstance(video, PoseInput):
            prediction = _of_pose(prediction, video, torque)
        warnings = self._warnings(prediction, video)
        return dataclasses.replace(prediction, warnings=tuple(warnings))

    def _predict_sliding(self, video: Recording, samples: int, load: float | None) -> _Sliding:
        """Predicts overlapping windows of the whole recording.

        Args:
          video: the recording.
          samples: N, number of EMG samples.
          load: kg, if known.
        """
        window = self.run.window
        emg, mae, torque = (OverlapAdd(samples, window.emg_rate) for _ in range(3))
        movement = OverlapAdd(round(video.seconds * window.frame_rate), window.frame_rate)
        features = []
        starts = [(start, math.inf) for start in video.window_starts]
        for (start, _), outputs in self._run_windows(video, starts, load):
            predicted = outputs.predicted_mae
            emg.add(start, outputs.emg[0])
            mae.add(start, np.ones_like(outputs.emg[0]) if predicted is None else predicted[0])
            if outputs.torque is not None:
                torque.add(start, outputs.torque[0])
            if isinstance(video, VideoInput):
                movement.add(start, _movement(outputs))
            features.append(outputs.encoder_features)
        if isinstance(video, PoseInput):
            spans = video.spans
        else:
            spans = self._segment(video, movement.finish())
        torques = torque.finish() if torque.covered.any() else None
        return _Sliding(emg.finish(), mae.finish(), torques, spans, features)

    def _predict_spans(
        self,
        video: Recording,
        spans: Sequence[Span],
        load: float | None,
    ) -> tuple[dict[Span, EncoderFeatures], Spool]:
        """Predicts a window for each repetition, as action quality was learned.

        Repetitions that are longer than the window are left out.

        Returns:
          Encoder features by span; and, in the order of the spans, (start of the window in s,
          inputs of the AQA head, predicted load in kg), on disk because the action may not be known
          yet.
        """
        longest = self.run.window.seconds
        cuts = {
            span: self._cut(video, spans, number)
            for number, span in enumerate(spans)
            if span[1] - span[0] <= longest + 1e-6
        }
        features: dict[Span, EncoderFeatures] = {}
        head_inputs = Spool()
        outputs_of_cuts = self._run_windows(video, list(cuts.values()), load)
        for span, ((start, _), outputs) in zip(cuts, outputs_of_cuts, strict=True):
            features[span] = outputs.encoder_features
            predicted_load = None if outputs.load is None else float(outputs.load[0])
            head_inputs.append((start, outputs.aqa_inputs, predicted_load))
        return features, head_inputs

    def _cut(self, video: Recording, spans: Sequence[Span], number: int) -> Span:
        """The time around a repetition that the head sees: with margins, as in training.

        Spans of a video have their margins already.
        """
        if isinstance(video, PoseInput):
            return bounds(spans, number, video.seconds, self.run.window.seconds)
        return spans[number]

    def _run_windows(
        self, video: Recording, spans: Sequence[Span], load: float | None
    ) -> Iterator[tuple[Span, ModelOutputs]]:
        """Yields (span, outputs of one window) for windows that begin where the spans begin."""
        empty = blank_batch(self.run.window, BATCH, self._muscles)
        if load is not None:
            empty["load"][:], empty["load_mask"][:] = load, True
        for first in range(0, len(spans), BATCH):
            chosen = list(spans[first : first + BATCH])
            windows = [video.read_window(*span) for span in chosen]
            windows += [windows[-1]] * (BATCH - len(windows))
            batch = empty | {field: np.stack([w[field] for w in windows]) for field in windows[0]}
            batch["emg_mask"] = empty["emg_mask"].copy()
            for row, (start, end) in enumerate(chosen):
                within = start + self.run.window.emg_time < min(end, video.seconds)
                batch["emg_mask"][row] = within[:, None]
            outputs = self.run.forward(batch)
            for row, span in enumerate(chosen):
                yield span, _select_row(outputs, row)

    def _segment(self, video: VideoInput, movement: np.ndarray) -> list[Span]:
        """Start and end of each repetition, s, rounded to the model's frames."""
        window = self.run.window
        if len(video.window_starts) == 1:  # as long as a training clip: one repetition
            return [(0.0, video.seconds)]

        def round_to_frame(time: float) -> float:
            return round(round(time * window.frame_rate) / window.frame_rate, 6)

        # With the margins that the repetitions of the training data have.
        movements = repetitions_lib.segment(movement, window.frame_rate)
        spans = [
            bounds(movements, number, video.seconds, window.seconds)
            for number in range(len(movements))
        ]
        return [
            (round_to_frame(start), min(round_to_frame(end), video.seconds)) for start, end in spans
        ]

    def _recognise(self, features: Sequence[EncoderFeatures]) -> Recognition:
        """The action that is shown.

        With an AQA head, one that it can judge: a squat without a barbell is judged as a squat.
        """
        head = self.run.aqa_head
        known = set() if head is None else {*self.actions} & {*head.rubric.actions}
        return recognise(self.run.ood_detector, features, known)

    def _repetitions(
        self,
        inputs: Iterator[tuple[Span, HeadInputs | None]],
        ood_scores: Mapping[Span, OODScore],
        action: str,
        columns: Sequence[int],
        is_sure: bool,
    ) -> list[Repetition]:
        """All repetitions, with score and feedback where that is possible.

        Args:
          inputs: (span, what `_predict_spans` stored of it, None if it is too long).
          ood_scores: by span.
          action: of the recording.
          columns: its muscles among all muscles.
          is_sure: whether the action is.
        """
        repetitions: list[Repetition] = []
        assessed: dict[int, tuple[float, AQAPredictions]] = {}
        head = self.run.aqa_head
        for span, stored in inputs:
            window_start, head_inputs, predicted_load = stored or (0.0, None, None)
            repetition = Repetition(
                start=span[0],
                end=span[1],
                distance=float(ood_scores[span].distance[0]),
                motion=float(ood_scores[span].motion[0]),
                predicted_load=predicted_load,
            )
            if head is None:
                reason = "the run has no AQA head"
            elif head_inputs is None:
                reason = f"longer than the window of the AQA head, {self.run.window.seconds:g} s"
            elif not repetition.in_domain:
                reason = "out of domain"
            elif not is_sure:
                reason = "the exercise is not sure (--action)"
            elif action not in head.rubric.actions:
                reason = f"{action!r} is not in graph {head.rubric.version}"
            else:
                reason = ""
                judged = self._judge(head, head_inputs, action, columns)
                assessed[len(repetitions)] = window_start, judged
            repetitions.append(dataclasses.replace(repetition, no_score_reason=reason))
        if head is not None and assessed:
            judged = _as_one_set(head, [part for _, part in assessed.values()], action)
            for number, (index, (start, _)) in enumerate(assessed.items()):
                repetitions[index] = _scored(
                    repetitions[index], head, start, judged, number, action
                )
        return repetitions

    def _judge(
        self,
        head: TrainedAQAHead,
        head_inputs: Mapping[str, np.ndarray],
        action: str,
        columns: Sequence[int],
    ) -> AQAPredictions:
        """What the head says of one repetition by itself."""
        muscle, side = muscle_queries([self._muscles[c] for c in columns])
        batch = dict(head_inputs)
        for field in ("activity", "activity_mask"):
            batch[field] = batch[field][..., list(columns)]
        return head(
            batch
            | {
                "view": self.run.window.view_index[None],
                "muscle": muscle[None],
                "side": side[None],
                "action": np.array([head.rubric.actions.index(action)], np.int32),
                "_mask": np.ones(1, bool),
            }
        )

    def _warnings(self, prediction: Prediction, video: Recording) -> Iterator[str]:
        """What a user must know before using the prediction."""
        if isinstance(video, PoseInput):
            yield from video.warnings
        if not prediction.repetitions:
            yield "out of domain: no repetition found"
        elif not prediction.in_domain:
            count = len(prediction.repetitions)
            distant = sum(r.distance > 1 for r in prediction.repetitions)
            still = sum(r.motion < 1 for r in prediction.repetitions)
            if distant:
                yield (
                    f"out of domain: {distant} of {count} repetitions look unlike the training "
                    "clips"
                )
            if still:
                yield f"out of domain: hardly anything moves in {still} of {count} repetitions"
        if prediction.simulated:
            yield "the model was trained on simulated people and simulated EMG"
        if isinstance(video, VideoInput) and not video.complete:
            trained, given = ", ".join(self.run.window.views), ", ".join(video.frames)
            yield (
                f"the model was trained with the views {trained}; given {given}: intervals would "
                "not hold and are left out"
            )
        elif prediction.low is None:
            yield "the run has too few validation samples to calibrate intervals; they are left out"
        if (seen := prediction.recognition) is not None and prediction.repetitions:
            accuracy = self.run.ood_detector.about["action_accuracy"]
            if seen.is_sure:
                yield (
                    f"action recognised, not given ({seen.share:.0%} of the votes; accuracy on "
                    f"validation clips {accuracy:.0%})"
                )
            else:
                yield (
                    f"the exercise is not sure ({seen} of the votes), and nothing is scored: say "
                    "it with --action"
                )


def _of_pose(prediction: Prediction, recording: PoseInput, torque: np.ndarray | None) -> Prediction:
    """The prediction without what the pose does not show, with the movement of each repetition.

    The samples are masked in the memory of the prediction: those of an hour are large. Torques need
    the load, so without it there are none.
    """
    known = recording.known(prediction.time)
    refused = bool(recording.pose.gated.refused)
    torque = torque if recording.knows_load else None
    for values in (prediction.emg, prediction.low, prediction.high, torque):
        if values is not None:
            values[~known] = np.nan
    repetitions = tuple(
        dataclasses.replace(r, movement=recording.movement(r.start, r.end))
        for r in prediction.repetitions
    )
    return dataclasses.replace(
        prediction,
        sample_in_domain=prediction.sample_in_domain & known & (not refused),
        repetitions=repetitions,
        normalisation=prediction.normalisation if recording.knows_load else RELATIVE,
        pose=recording.pose,
        torque=torque,
    )


def _hidden(track: PoseTrack, repetition: Repetition) -> list[str]:
    """Joints that are seen in less than half of a repetition."""
    during = (track.times >= repetition.start) & (track.times <= repetition.end)
    share = track.seen[during].mean(0)
    return [name for name, seen in zip(track.names, share, strict=True) if seen < 0.5]


def _movement(outputs: ModelOutputs) -> np.ndarray:
    """[T, D] trajectory of the body in one window: the predicted pose, else the predicted EMG."""
    if outputs.pose is not None:
        return outputs.pose[0].reshape(len(outputs.pose[0]), -1)
    return outputs.emg[0]


def _select_row(outputs: ModelOutputs, row: int) -> ModelOutputs:
    """Outputs of one window of a batch."""
    keep = slice(row, row + 1)

    def select(value: np.ndarray | None) -> np.ndarray | None:
        return None if value is None else value[keep]

    return ModelOutputs(
        emg=outputs.emg[keep],
        predicted_mae=select(outputs.predicted_mae),
        encoder_features=EncoderFeatures(
            *(x[keep] for x in vars(outputs.encoder_features).values())
        ),
        aqa_inputs={name: value[keep] for name, value in outputs.aqa_inputs.items()},
        pose=select(outputs.pose),
        torque=select(outputs.torque),
        load=select(outputs.load),
    )


def _as_one_set(
    head: TrainedAQAHead, alone: Sequence[AQAPredictions], action: str
) -> AQAPredictions:
    """Repetitions of one recording, judged together."""
    fields = (field.name for field in dataclasses.fields(AQAPredictions))
    joined = {name: np.concatenate([getattr(part, name) for part in alone]) for name in fields}
    penalty = head.rubric.weight[[head.rubric.actions.index(action)] * len(alone)]
    return head.pooling(AQAPredictions(**joined), np.zeros(len(alone), int), penalty)


def _scored(
    repetition: Repetition,
    head: TrainedAQAHead,
    window_start: float,
    judged: AQAPredictions,
    row: int,
    action: str,
) -> Repetition:
    """The repetition with score, errors, phases and feedback.

    Args:
      repetition: without them.
      head: of the run.
      window_start: of what the head has seen, which reaches beyond the repetition, s.
      judged: repetitions of the recording.
      row: of this repetition.
      action: of the recording.
    """
    rubric = head.rubric
    action_index = rubric.actions.index(action)
    score, probability = float(judged.score[row]), judged.probability[row]
    starts = np.minimum(window_start + judged.boundary[row], repetition.end)
    steps = rubric.steps[action_index]
    edges = [*starts[: len(steps)], repetition.end]
    return dataclasses.replace(
        repetition,
        score=score,
        errors={
            pair: float(p) for pair, p in zip(rubric.pairs[action_index], probability, strict=False)
        },
        phases=tuple(
            (step, float(start), float(end))
            for step, start, end in zip(steps, edges[:-1], edges[1:], strict=True)
        ),
        feedback=feedback(
            head.graph,
            f"{repetition.start:.2f}-{repetition.end:.2f} s",
            action,
            score,
            probability,
            judged.expected_severity[row],
            starts,
            repetition.end,
            head.threshold,
        ),
    )


def _nearest(
    features: Sequence[EncoderFeatures], starts: Sequence[float], time: float
) -> EncoderFeatures:
    """Features of the window that begins nearest to `time`."""
    return features[int(np.abs(np.array(starts) - time).argmin())]


def _sample_in_domain(
    time: np.ndarray,
    repetitions: Sequence[Repetition],
    features: Sequence[EncoderFeatures],
    starts: Sequence[float],
    run: Run,
) -> np.ndarray:
    """[N] whether each sample is in domain.

    A sample within a repetition has the answer of the repetition; any other that of the nearest
    sliding window, whose `features` and `starts` are given.
    """
    in_domain = np.array([run.ood_detector.score(window).distance[0] <= 1 for window in features])
    middle = np.array(starts) + run.window.seconds / 2
    in_domain = in_domain[np.searchsorted((middle[1:] + middle[:-1]) / 2, time)]
    for repetition in repetitions:
        in_domain[repetition.holds(time)] = repetition.in_domain
    return in_domain
