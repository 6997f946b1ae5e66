"""Overlap of answers with their references: BLEU, chrF++, ROUGE-L.

They come from sacrebleu and rouge-score (extra `videoqa`), and are left out without them.
"""

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from video2emg.aqa import metrics


def available() -> bool:
    """Whether the extra `videoqa` is installed."""
    return all(importlib.util.find_spec(name) for name in ("sacrebleu", "rouge_score"))


class TextOverlap:
    """Statistics of K answers and their references, computed once for all bootstrap draws."""

    def __init__(self, answers: Sequence[str], references: Sequence[str]) -> None:
        """Computes the statistics.

        Args:
          answers: K texts.
          references: one for each answer.
        """
        self._statistics = None
        pairs = list(zip(answers, references, strict=True))
        if pairs and available():
            unique = list(dict.fromkeys(pairs))
            rows = {pair: row for row, pair in enumerate(unique)}
            self._statistics = _statistics(unique)[[rows[pair] for pair in pairs]]

    def metrics(self, weight: Shaped[np.ndarray, "R K"] | None) -> dict[str, Any]:
        """`bleu` over the corpus, means of `chrf` and `rouge_l`; 0-100, NaN if unknown.

        Args:
          weight: how often each answer counts in each draw. The metrics then have shape [R].
        """
        if self._statistics is None:
            return dict.fromkeys(("bleu", "chrf", "rouge_l"), metrics.undefined(weight))
        # Contiguous, since the last bit of a sum depends on the layout.
        rouge, chrf, *ngrams = np.ascontiguousarray(self._statistics.T)
        return {
            "bleu": _corpus_bleu(np.stack(ngrams, 1), weight),
            "chrf": metrics.weighted_mean(chrf, weight),
            "rouge_l": metrics.weighted_mean(rouge, weight),
        }


def _statistics(pairs: Sequence[tuple[str, str]]) -> Float[np.ndarray, "K S"]:
    """ROUGE-L, chrF++ and the counts of corpus BLEU of (answer, reference) pairs."""
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    rouge, chrf = RougeScorer(["rougeL"]), CHRF(word_order=2)
    # Short texts cause warnings without `effective_order`; it does not change the counts.
    bleu = BLEU(effective_order=True)
    rows = []
    for answer, reference in pairs:
        counts = bleu.sentence_score(answer, [reference])
        rows.append(
            [
                100 * rouge.score(reference, answer)["rougeL"].fmeasure,
                chrf.sentence_score(answer, [reference]).score,
                *(*counts.counts, *counts.totals, counts.sys_len, counts.ref_len),
            ]
        )
    return np.array(rows, float)


def _corpus_bleu(ngrams: Float[np.ndarray, "K N"], weight: np.ndarray | None) -> Any:
    """Corpus BLEU. Counts of n-grams add up over texts, so a draw is a weighted sum of them."""
    from sacrebleu.metrics.bleu import BLEU

    w = np.ones((1, len(ngrams))) if weight is None else weight
    order = (ngrams.shape[1] - 2) // 2
    scores = [
        BLEU.compute_bleu(
            correct=[int(x) for x in row[:order]],
            total=[int(x) for x in row[order : 2 * order]],
            sys_len=int(row[-2]),
            ref_len=int(row[-1]),
            smooth_method="exp",
        ).score
        for row in w @ ngrams
    ]
    return float(scores[0]) if weight is None else np.array(scores)
