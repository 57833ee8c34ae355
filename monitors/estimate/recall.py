"""Recall: how many of the positives that are expected are predicted as such."""

from __future__ import annotations

import numpy as np

from monitors.estimate.protocol import Estimated
from monitors.estimate.scores import Expected, of_scores
from schemas.observation import Reason


def recall(found: Expected) -> Estimated:
    """`R = TP/Q`, Q positives; delta method: `slope = (1 - R)/Q` where positive is predicted, else `-R/Q`."""
    hits, _, misses, _ = found.confusion()
    if hits + misses <= 0:
        return Estimated(None, round(found.n), reason=Reason.ZERO_DENOMINATOR)
    value = hits / (hits + misses)
    return found.estimated(value, np.where(found.predicted, 1 - value, -value) / (hits + misses))


ESTIMATE = of_scores("recall", recall)
