"""How much answers share with their references: BLEU, chrF++, ROUGE-L.

BLEU and chrF++ come from sacrebleu (extra `videoqa`), and are left out without it.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Shaped

from video2emg.aqa import metrics


def available() -> bool:
    """Whether sacrebleu is there."""
    try:
        import sacrebleu
    except ImportError:
        return False
    return bool(sacrebleu.__version__)


class Overlap:
    """K answers beside their references, counted once."""

    def __init__(self, answers: Sequence[str], references: Sequence[str]) -> None:
        """Counts.

        Args:
          answers: K texts.
          references: one for each.
        """
        pairs = list(zip(answers, references, strict=True))
        self._rouge = np.array([100 * rouge_l(*pair) for pair in pairs])
        self._chrf = self._ngrams = None
        if pairs and available():
            from sacrebleu.metrics.bleu import BLEU
            from sacrebleu.metrics.chrf import CHRF

            chrf = CHRF(word_order=2)
            self._chrf = np.array([chrf.sentence_score(said, [true]).score for said, true in pairs])
            bleu = BLEU(effective_order=True)  # else it warns of short texts; counts are the same
            found = [bleu.sentence_score(said, [true]) for said, true in pairs]
            self._ngrams = np.array([[*f.counts, *f.totals, f.sys_len, f.ref_len] for f in found])

    def scores(self, weight: Shaped[np.ndarray, "R K"] | None) -> dict[str, Any]:
        """`bleu` over the corpus, `chrf` and `rouge_l` as means; 0-100, NaN if unknown.

        Args:
          weight: how often each answer counts in each draw; the results are then [R].
        """
        zero = np.zeros(len(self._rouge))
        nothing = float("nan") if weight is None else np.full(len(weight), np.nan)
        found: dict[str, Any] = {"bleu": nothing, "chrf": nothing, "rouge_l": nothing}
        if len(zero):
            found["rouge_l"] = metrics.mae(self._rouge, zero, weight)
        if self._chrf is not None and self._ngrams is not None:
            found["chrf"] = metrics.mae(self._chrf, zero, weight)
            found["bleu"] = _bleu(self._ngrams, weight)
        return found


def rouge_l(answer: str, reference: str) -> float:
    """ROUGE-L (Lin, 2004): F of the longest common subsequence of words, as `rouge_score` has it.

    Lower-case words of letters and digits, no stemming, one sentence.
    """
    said, true = (re.findall(r"[a-z0-9]+", text.lower()) for text in (answer, reference))
    common = _longest_common(said, true)
    return 2 * common / (len(said) + len(true)) if common else 0.0


def _longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence, bit-parallel (Hyyrö, 2004)."""
    places: dict[str, int] = {}
    for i, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << i
    everywhere = (1 << len(one)) - 1
    row = everywhere
    for word in other:
        match = row & places.get(word, 0)
        row = ((row + match) | (row - match)) & everywhere
    return len(one) - row.bit_count()


def _bleu(ngrams: np.ndarray, weight: np.ndarray | None) -> Any:
    """Corpus BLEU: counts of n-grams add up over texts, so a draw is a weighted sum of them."""
    from sacrebleu.metrics.bleu import BLEU

    w = np.ones((1, len(ngrams)), int) if weight is None else weight
    order = (ngrams.shape[1] - 2) // 2
    found = [
        BLEU.compute_bleu(
            correct=[int(x) for x in row[:order]],
            total=[int(x) for x in row[order : 2 * order]],
            sys_len=int(row[-2]),
            ref_len=int(row[-1]),
            smooth_method="exp",
        ).score
        for row in w @ ngrams
    ]
    return float(found[0]) if weight is None else np.array(found)
