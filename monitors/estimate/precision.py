"""Precision: how many of those predicted positive are expected to be."""

from __future__ import annotations

from monitors.estimate.protocol import Estimated
from monitors.estimate.scores import Expected, of_scores
from schemas.observation import Reason


def precision(found: Expected) -> Estimated:
    """`TP / (TP + FP)`; how many are predicted is known, so `slope = 1/(TP + FP)` there and 0 elsewhere."""
    hits, false_alarms, _, _ = found.confusion()
    if hits + false_alarms <= 0:
        return Estimated(None, round(found.n), reason=Reason.ZERO_DENOMINATOR)
    return found.estimated(hits / (hits + false_alarms), found.predicted / (hits + false_alarms))


ESTIMATE = of_scores("precision", precision)
