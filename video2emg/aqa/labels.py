"""The annotations of a split, in the form of predictions."""

import numpy as np

from video2emg.aqa.frozen_features import FrozenFeatures
from video2emg.aqa.predictions import AQALabels, AQAPredictions
from video2emg.core.errors import UserError


def load_aqa_labels(features: FrozenFeatures, split: str) -> AQALabels:
    """The annotations of a split, with what scoring needs of the training split."""
    labels, train = annotations(features, split), annotations(features, "train")
    scores = [train.score[train.action == a] for a in range(len(features.rubric.actions))]
    # The graph may know actions that the dataset does not have.
    ranges = [(float(s.min()), float(s.max())) if len(s) else (0.0, 100.0) for s in scores]
    means = [s.mean() if len(s) else train.score.mean() for s in scores]
    examples = features.splits[split]
    clips = [examples.clip(i) for i in range(len(examples))]
    return AQALabels(
        annotations=labels,
        pair_mask=features.rubric.weight[labels.action] > 0,
        subject=features.subject[split],
        clip_id=np.array([clip.clip_id for clip in clips]),
        recording=np.array([clip.recording for clip in clips]),
        rubric=features.rubric,
        score_ranges=ranges,
        mean_scores=np.array(means),
    )


def annotations(features: FrozenFeatures, split: str) -> AQAPredictions:
    """The annotations of a split in the form of predictions.

    Raises:
      UserError: a clip has no score.
    """
    examples = features.splits[split]
    rows = [features.labels(examples.clip(i), 0.0) for i in range(len(examples))]
    fields = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    if not fields["score_mask"].all():
        raise UserError(
            f"{split}: {int((~fields['score_mask']).sum())} clips have no score; the assessment "
            "job needs one for each"
        )
    return AQAPredictions(
        probability=(fields["severity"] > 0).astype(np.float64),
        expected_severity=fields["severity"].astype(np.float64),
        score=fields["score"].astype(np.float64),
        boundary=fields["boundary"].astype(np.float64),
        action=fields["action"],
    )


def error_log_odds(features: FrozenFeatures) -> list[tuple[float, ...]]:
    """Per action, log p / (1 - p) of each pair among the training clips."""
    train = annotations(features, "train")
    log_odds = []
    for action in range(len(features.rubric.actions)):
        made = train.probability[train.action == action] > 0
        # Half an observation of each kind keeps errors that were never made from being impossible.
        rate = (made.sum(0) + 0.5) / (len(made) + 1)
        log_odds.append(tuple(float(x) for x in np.log(rate / (1 - rate))))
    return log_odds
