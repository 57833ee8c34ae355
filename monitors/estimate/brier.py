"""Brier score: `(s - y)^2` with the chance of each y, at the middle of each score bin."""

from __future__ import annotations

from monitors.estimate.protocol import Estimated
from monitors.estimate.scores import Expected, of_scores


def brier(found: Expected) -> Estimated:
    """`slope` is the loss of a positive less that of a negative row, over n."""
    hit, miss = (1 - found.scores) ** 2, found.scores**2
    value = float((found.positives * hit + found.negatives * miss).sum()) / found.n
    return found.estimated(value, (hit - miss) / found.n)


ESTIMATE = of_scores("brier", brier)
