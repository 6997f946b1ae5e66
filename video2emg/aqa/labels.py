"""What annotators say of a split, as judgements, and what the baselines make of it."""

import numpy as np

from video2emg.aqa import baselines as baselines_lib
from video2emg.aqa.frozen_features import FrozenFeatures
from video2emg.aqa.predictions import AQALabels, AQAPredictions
from video2emg.core.errors import UserError
from video2emg.eval import evaluate


def load_aqa_labels(bench: FrozenFeatures, split: str) -> AQALabels:
    """What annotators say of a split."""
    label, train = annotations(bench, split), annotations(bench, "train")
    scores = [train.score[train.action == a] for a in range(len(bench.rubric.actions))]
    # The graph may know actions that the dataset does not have.
    spans = [(float(s.min()), float(s.max())) if len(s) else (0.0, 100.0) for s in scores]
    means = [s.mean() if len(s) else train.score.mean() for s in scores]
    examples = bench.splits[split]
    return AQALabels(
        label=label,
        known=bench.rubric.weight[label.action] > 0,
        subject=bench.subject[split],
        clip_id=np.array([examples.clip(i).clip_id for i in range(len(examples))]),
        rubric=bench.rubric,
        spans=spans,
        means=np.array(means),
    )


def annotations(bench: FrozenFeatures, split: str) -> AQAPredictions:
    """The annotations of a split as a judgement."""
    examples = bench.splits[split]
    rows = [bench.labels(examples.clip(i), 0.0) for i in range(len(examples))]
    fields = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    if not fields["score_mask"].all():
        raise UserError(f"{split}: {int((~fields['score_mask']).sum())} clips have no score; the "
                        "assessment job needs one for each")  # fmt: skip
    return AQAPredictions(
        probability=(fields["severity"] > 0).astype(np.float64),
        expected_severity=fields["severity"].astype(np.float64),
        score=fields["score"].astype(np.float64),
        boundary=fields["boundary"].astype(np.float64),
        action=fields["action"],
    )


def error_log_odds(bench: FrozenFeatures) -> list[tuple[float, ...]]:
    """Per action, log p / (1 - p) of each pair among the training clips."""
    train = annotations(bench, "train")
    found = []
    for action in range(len(bench.rubric.actions)):
        made = train.probability[train.action == action] > 0
        # Half an observation of each kind keeps errors that were never seen from being impossible.
        rate = (made.sum(0) + 0.5) / (len(made) + 1)
        found.append(tuple(float(x) for x in np.log(rate / (1 - rate))))
    return found


def baselines(bench: FrozenFeatures) -> dict[str, dict[str, AQAPredictions]]:
    """What each baseline says of validation and test; `true_errors` is the ceiling."""
    rubric, train = bench.rubric, annotations(bench, "train")
    series = {
        split: evaluate.series_of(examples, descriptors=True)
        for split, examples in bench.splits.items()
    }
    pictures = {
        split: np.stack([np.asarray(s.descriptor) for s in of]) for split, of in series.items()
    }
    features = {split: baselines_lib.emg_features(of) for split, of in series.items()}
    found: dict[str, dict[str, AQAPredictions]] = {}
    for split in ("validation", "test"):
        label = annotations(bench, split)
        said = {
            "train_mean": baselines_lib.train_mean(train, rubric, label),
            "action_prior": baselines_lib.action_prior(train, rubric, label),
            "nearest_neighbour": baselines_lib.nearest_neighbour(
                train, label, pictures["train"], pictures[split]
            ),
            "emg_only": baselines_lib.emg_only(
                train, rubric, label, features["train"], features[split], bench.subject["train"]
            ),
            "true_errors": baselines_lib.of_true_errors(label, rubric),
        }
        for name, value in said.items():
            found.setdefault(name, {})[split] = value
    return found
