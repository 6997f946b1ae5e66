"""Videos → EMG, repetitions, score and feedback, top to bottom."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from video2emg.core.errors import UserError
from video2emg.eval.forward import ModelOutputs, queries
from video2emg.eval.out_of_domain import EncoderFeatures, OODScore
from video2emg.fkg.feedback import feedback
from video2emg.inference import repetitions as repetitions_lib
from video2emg.inference.overlap_add import OverlapAdd, Spool, blend
from video2emg.inference.prediction import Prediction, Repetition
from video2emg.inference.run import Run, nothing, open_run
from video2emg.inference.video_input import VideoInput, assign, places

BATCH = 8  # windows at a time
_FADE_S = 0.1  # s over which a repetition's own window takes over
Progress = Callable[[str], None]


def _silent(message: str) -> None:
    """Says nothing."""


class Predictor:
    """A trained run, ready for videos.

    Attributes:
      run: the opened run.
    """

    def __init__(self, run: Run) -> None:
        """Wraps an opened run; `video2emg.load` opens one."""
        self.run = run
        every = [m for own in run.domain.about["muscles"].values() for m in own]
        self._asked = tuple(dict.fromkeys(every))

    @classmethod
    def load(cls, checkpoint: str | Path, data_dir: str | Path | None = None) -> "Predictor":
        """Opens a workdir, see `run.open_run`."""
        return cls(open_run(checkpoint, data_dir))

    @property
    def actions(self) -> tuple[str, ...]:
        """Exercises that the run has learned from."""
        return self.run.domain.actions

    def predict(
        self,
        videos: str | Path | Sequence[str | Path] | Mapping[str, np.ndarray],
        *,
        action: str = "",
        load: float | None = None,
        rate: float = math.nan,
        name: str = "",
        progress: Progress = _silent,
    ) -> Prediction:
        """Predicts one recording.

        Args:
          videos: files (or folders of pictures), `view=path` or in the order of the model's views;
            or frames in memory, [F, H, W, 3] uint8 by view. All views begin at the same instant.
          action: the exercise; recognised if it is not told.
          load: kg; handed on, and shown to a model that is given loads (`extra_inputs`).
          rate: of frames in memory or folders of pictures, Hz.
          name: of the recording; else that of the first file.
          progress: told what is being done.

        Raises:
          UserError: an unknown action or view, or videos that cannot be read.
        """
        self._check(action, load)
        views = self.run.window.views
        if isinstance(videos, Mapping):
            if unknown := set(videos) - set(views):
                raise UserError(f"unknown views {sorted(unknown)}; the model knows {views}")
            footage = VideoInput.of_arrays(videos, rate, self.run.window)
        else:
            several = [videos] if isinstance(videos, str | Path) else list(videos)
            sources = assign(several, views)
            if not sources:
                raise UserError("no video given")
            name = name or next(iter(sources.values())).name
            progress(f"{name}: reading")
            footage = VideoInput.read(sources, self.run.window, rate)
        try:
            return self._of(footage, action, load, name or "recording", progress)
        finally:
            footage.close()

    def _check(self, action: str, load: float | None) -> None:
        if action and action not in self.actions:
            raise UserError(f"--action {action!r}: the model has learned {', '.join(self.actions)}")
        if load is not None and not (math.isfinite(load) and load >= 0):
            raise UserError(f"--load {load}: must be a mass in kg")

    def _of(
        self, footage: VideoInput, action: str, load: float | None, name: str, progress: Progress
    ) -> Prediction:
        run, window = self.run, self.run.window
        rate = window.emg_rate
        duration = min(footage.end, footage.seconds)
        time = np.arange(round(duration * rate)) / rate
        progress(f"{name}: {footage.seconds:.1f} s, looking at all of it")
        slow = OverlapAdd(len(time), rate)
        body = OverlapAdd(round(footage.seconds * window.frame_rate), window.frame_rate)
        slides = []
        sliding = [(start, math.inf) for start in footage.sliding]
        for (start, _), seen, row in self._look(footage, sliding, load):
            slow.add(start, _said(seen, row))
            body.add(start, _movement(seen, row))
            slides.append(_row(seen.encoder_features, row))
        spans = self._spans(footage, body.finish())
        progress(f"{name}: {len(spans)} repetitions, looking at each")
        emg = slow.finish()
        del slow, body  # an hour of all channels would be held to the end
        fits = [(start, end) for start, end in spans if end - start <= window.seconds + 1e-6]
        looks: dict[tuple[float, float], EncoderFeatures] = {}
        aside = Spool()  # what is judged when the action is known
        for span, seen, row in self._look(footage, fits, load):
            looks[span] = _row(seen.encoder_features, row)
            aside.put(_only(seen, row))
            blend(emg, _said(seen, row), time, span, _FADE_S)
        verdicts = {
            span: run.domain.score(
                looks[span] if span in looks else _nearest(slides, footage.sliding, span[0])
            )
            for span in spans
        }
        votes = None
        if not action:
            action, votes = self._recognise(list(looks.values()) or slides)
        muscles = tuple(run.domain.about["muscles"][action])
        columns = [self._asked.index(m) for m in muscles]
        emg, spread = emg[:, columns], emg[:, len(self._asked) :][:, columns]
        complete = set(footage.frames) == set(window.views)
        bounds = run.domain.interval(emg, spread, muscles) if complete else None
        kept = iter(aside)
        seen_at = ((span, next(kept) if span in looks else None) for span in spans)
        found = self._judge(seen_at, verdicts, action, columns)
        inside = _inside(time, found, slides, footage.sliding, run)
        prediction = Prediction(
            name=name,
            videos={view: str(path) for view, path in footage.sources.items()},
            duration=duration,
            action=action,
            action_votes=votes,
            told_load=load,
            reference=run.config.data.normalisation,
            simulated=run.config.data.name.startswith("gymsim"),
            time=time,
            muscles=muscles,
            emg=emg,
            low=None if bounds is None else bounds[0],
            high=None if bounds is None else bounds[1],
            level=float(run.domain.about["level"]),
            inside=inside,
            repetitions=tuple(found),
            warnings=(),
            checkpoint={"workdir": str(run.workdir), "dataset": run.config.data.name},
        )
        return dataclasses.replace(
            prediction, warnings=tuple(self._warnings(prediction, footage, complete))
        )

    def _look(
        self, footage: VideoInput, spans: Sequence[tuple[float, float]], load: float | None
    ) -> Iterator[tuple[tuple[float, float], ModelOutputs, int]]:
        """(span, what the model says of its batch, its row there) for windows that start there."""
        empty = nothing(self.run.window, BATCH, self._asked)
        if load is not None:
            empty["load"][:], empty["load_mask"][:] = load, True
        for first in range(0, len(spans), BATCH):
            chosen = list(spans[first : first + BATCH])
            cuts = [footage.read_window(*span) for span in chosen]
            cuts += [cuts[-1]] * (BATCH - len(cuts))
            batch = empty | {field: np.stack([cut[field] for cut in cuts]) for field in cuts[0]}
            batch["emg_mask"] = empty["emg_mask"].copy()
            for row, (start, end) in enumerate(chosen):
                known = start + self.run.window.emg_time < min(end, footage.seconds)
                batch["emg_mask"][row] = known[:, None]
            seen = self.run.watcher(batch)
            for row, span in enumerate(chosen):
                yield span, seen, row

    def _spans(self, footage: VideoInput, movement: np.ndarray) -> list[tuple[float, float]]:
        """(start, end) of each repetition, s, on the beat of the model's frames."""
        window = self.run.window
        if footage.seconds <= window.seconds + 1e-6:  # as long as what the model was trained on
            return [(0.0, footage.seconds)]

        def on_beat(time: float) -> float:
            return round(round(time * window.frame_rate) / window.frame_rate, 6)

        return [
            (on_beat(start), min(on_beat(end), footage.seconds))
            for start, end in repetitions_lib.segment(movement, window.frame_rate)
        ]

    def _recognise(self, looks: Sequence[EncoderFeatures]) -> tuple[str, float]:
        """The action with most votes, and its share."""
        # One after the other: all distances to all training clips would not fit for long videos.
        each = (self.run.domain.recognise(look) for look in looks)
        guess, share = map(np.concatenate, zip(*each, strict=True))
        votes = np.bincount(guess, share, len(self.actions))
        return self.actions[int(votes.argmax())], float(votes.max() / votes.sum())

    def _judge(
        self,
        seen_at: Iterator[tuple[tuple[float, float], ModelOutputs | None]],
        verdicts: Mapping[tuple[float, float], OODScore],
        action: str,
        columns: Sequence[int],
    ) -> list[Repetition]:
        """Every repetition, with score and feedback where that is honest."""
        found = []
        for span, seen in seen_at:
            verdict = verdicts[span]
            one = Repetition(
                start=span[0],
                end=span[1],
                distance=float(verdict.distance[0]),
                motion=float(verdict.motion[0]),
                load=None if seen is None or seen.load is None else float(seen.load[0]),
            )
            judge = self.run.judge
            if judge is None:
                reason = "the checkpoint predicts EMG only"
            elif seen is None:
                reason = (
                    f"longer than the {self.run.window.seconds:g} s that the judge sees at once"
                )
            elif not one.in_domain:
                reason = "out of domain"
            elif action not in judge.rubric.actions:
                reason = f"{action!r} is not in graph {judge.rubric.version}"
            else:
                found.append(self._verdict(one, seen, action, columns))
                continue
            found.append(dataclasses.replace(one, not_judged=reason))
        return found

    def _verdict(
        self, one: Repetition, seen: ModelOutputs, action: str, columns: Sequence[int]
    ) -> Repetition:
        judge = self.run.judge
        assert judge is not None
        rubric, graph = judge.rubric, judge.graph
        place = rubric.actions.index(action)
        muscle, side = queries([self._asked[c] for c in columns])
        evidence = dict(seen.aqa_inputs)
        for field in ("activity", "activity_mask"):
            evidence[field] = evidence[field][..., list(columns)]
        said = judge(
            evidence
            | {
                "view": places(self.run.window)[None],
                "muscle": muscle[None],
                "side": side[None],
                "action": np.array([place], np.int32),
                "_mask": np.ones(1, bool),
            }
        )
        starts = one.start + said.boundary[0]
        steps = rubric.steps[place]
        edges = [*starts[: len(steps)], one.end]
        words = feedback(
            graph,
            f"{one.start:.2f}-{one.end:.2f} s",
            action,
            float(said.score[0]),
            said.probability[0],
            said.expected_severity[0],
            starts,
            one.end,
            judge.threshold,
        )
        pairs = zip(rubric.pairs[place], said.probability[0], strict=False)
        return dataclasses.replace(
            one,
            score=float(said.score[0]),
            errors={pair: float(p) for pair, p in pairs},
            phases=tuple(
                (step, float(a), float(b))
                for step, a, b in zip(steps, edges[:-1], edges[1:], strict=True)
            ),
            feedback=words,
        )

    def _warnings(
        self, prediction: Prediction, footage: VideoInput, complete: bool
    ) -> Iterator[str]:
        """What a reader must know."""
        if not prediction.repetitions:
            yield "out of domain: no repetition found"
        elif not prediction.in_domain:
            still = sum(r.motion < 1 for r in prediction.repetitions)
            far = sum(r.distance > 1 for r in prediction.repetitions)
            count = len(prediction.repetitions)
            if far:
                yield f"out of domain: {far} of {count} repetitions look unlike the training clips"
            if still:
                yield f"out of domain: hardly anything moves in {still} of {count} repetitions"
        if prediction.simulated:
            yield "the model was trained on simulated people and simulated EMG"
        if not complete:
            wanted, given = ", ".join(self.run.window.views), ", ".join(footage.frames)
            yield (f"the model was trained with the views {wanted}; given {given}: intervals "
                   "would not hold and are left out")  # fmt: skip
        elif prediction.low is None:
            yield "the run has too few validation samples to calibrate intervals; they are left out"
        if prediction.action_votes is not None:
            share = self.run.domain.about["action_accuracy"]
            yield (f"action recognised, not told ({prediction.action_votes:.0%} of the votes; "
                   f"{share:.0%} of validation clips are recognised)")  # fmt: skip


def _said(seen: ModelOutputs, row: int) -> np.ndarray:
    """[N, 2 M] EMG of one window, then its spread, 1 if the model says none."""
    spread = np.ones_like(seen.emg[row]) if seen.predicted_mae is None else seen.predicted_mae[row]
    return np.concatenate([seen.emg[row], spread], axis=1)


def _movement(seen: ModelOutputs, row: int) -> np.ndarray:
    """[T, D] how the body moves in one window: the predicted pose, else the predicted EMG."""
    if seen.pose is not None:
        return seen.pose[row].reshape(len(seen.pose[row]), -1)
    return seen.emg[row]


def _row(look: EncoderFeatures, row: int) -> EncoderFeatures:
    return EncoderFeatures(*(x[row : row + 1] for x in dataclasses.astuple(look)))


def _only(seen: ModelOutputs, row: int) -> ModelOutputs:
    """One window of a batch."""
    keep = slice(row, row + 1)
    return ModelOutputs(
        emg=seen.emg[keep],
        predicted_mae=None,
        encoder_features=_row(seen.encoder_features, row),
        aqa_inputs={name: value[keep].copy() for name, value in seen.aqa_inputs.items()},
        pose=None,
        load=None if seen.load is None else seen.load[keep],
    )


def _nearest(
    slides: Sequence[EncoderFeatures], starts: Sequence[float], time: float
) -> EncoderFeatures:
    """The sliding window that begins nearest to `time`."""
    return slides[int(np.abs(np.array(starts) - time).argmin())]


def _inside(
    time: np.ndarray,
    found: Sequence[Repetition],
    slides: Sequence[EncoderFeatures],
    starts: Sequence[float],
    run: Run,
) -> np.ndarray:
    """[N] of each sample: by its repetition, between them by the nearest sliding window."""
    verdict = np.array([run.domain.score(look).distance[0] <= 1 for look in slides])
    middle = np.array(starts) + run.window.seconds / 2
    inside = verdict[np.searchsorted((middle[1:] + middle[:-1]) / 2, time)]
    for one in found:
        inside[(time >= one.start) & (time < one.end)] = one.in_domain
    return inside
