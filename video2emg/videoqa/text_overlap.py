"""Overlap of answers with their references: BLEU, chrF++, ROUGE-L.

BLEU and chrF++ come from sacrebleu (extra `videoqa`), and are left out without it.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Shaped

from video2emg.eval import quality


def available() -> bool:
    """Whether sacrebleu is installed."""
    try:
        import sacrebleu
    except ImportError:
        return False
    return bool(sacrebleu.__version__)


class TextOverlap:
    """Statistics of K answers and their references, computed once for all bootstrap draws."""

    def __init__(self, answers: Sequence[str], references: Sequence[str]) -> None:
        """Computes the statistics.

        Args:
          answers: K texts.
          references: one for each answer.
        """
        pairs = list(zip(answers, references, strict=True))
        self._rouge = np.array([100 * rouge_l(*pair) for pair in pairs])
        self._chrf = self._ngrams = None
        if pairs and available():
            from sacrebleu.metrics.bleu import BLEU
            from sacrebleu.metrics.chrf import CHRF

            chrf = CHRF(word_order=2)
            # Short texts cause warnings without `effective_order`; it does not change the counts.
            bleu = BLEU(effective_order=True)
            self._chrf = np.array(
                [chrf.sentence_score(answer, [reference]).score for answer, reference in pairs]
            )
            statistics = [bleu.sentence_score(answer, [reference]) for answer, reference in pairs]
            self._ngrams = np.array(
                [[*s.counts, *s.totals, s.sys_len, s.ref_len] for s in statistics]
            )

    def metrics(self, weight: Shaped[np.ndarray, "R K"] | None) -> dict[str, Any]:
        """`bleu` over the corpus, means of `chrf` and `rouge_l`; 0-100, NaN if unknown.

        Args:
          weight: how often each answer counts in each draw. The metrics then have shape [R].
        """
        zero = np.zeros(len(self._rouge))
        unknown = float("nan") if weight is None else np.full(len(weight), np.nan)
        metrics: dict[str, Any] = {"bleu": unknown, "chrf": unknown, "rouge_l": unknown}
        if len(zero):
            metrics["rouge_l"] = quality.mae(self._rouge, zero, weight)
        if self._chrf is not None and self._ngrams is not None:
            metrics["chrf"] = quality.mae(self._chrf, zero, weight)
            metrics["bleu"] = _corpus_bleu(self._ngrams, weight)
        return metrics


def rouge_l(answer: str, reference: str) -> float:
    """ROUGE-L (Lin, 2004): F of the longest common subsequence of words, as `rouge_score` has it.

    Words are lower-case letters and digits, without stemming.
    """
    words, reference_words = (
        re.findall(r"[a-z0-9]+", text.lower()) for text in (answer, reference)
    )
    common = _longest_common(words, reference_words)
    return 2 * common / (len(words) + len(reference_words)) if common else 0.0


def _longest_common(words: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence, bit-parallel (Hyyrö, 2004)."""
    positions: dict[str, int] = {}
    for i, word in enumerate(words):
        positions[word] = positions.get(word, 0) | 1 << i
    all_ones = (1 << len(words)) - 1
    row = all_ones
    for word in other:
        match = row & positions.get(word, 0)
        row = ((row + match) | (row - match)) & all_ones
    return len(words) - row.bit_count()


def _corpus_bleu(ngrams: np.ndarray, weight: np.ndarray | None) -> Any:
    """Corpus BLEU. Counts of n-grams add up over texts, so a draw is a weighted sum of them."""
    from sacrebleu.metrics.bleu import BLEU

    w = np.ones((1, len(ngrams)), int) if weight is None else weight
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
