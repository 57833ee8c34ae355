"""F1 of the positive class, `2 TP / (predicted + expected positives)`."""

from __future__ import annotations

import numpy as np

from monitors.estimate.protocol import Estimated
from monitors.estimate.scores import Expected, of_scores
from schemas.observation import Reason


def f1(found: Expected) -> Estimated:
    """Delta method: `slope = 2 (W - TP)/W^2` where positive is predicted, `-2 TP/W^2` elsewhere, W the denominator."""
    hits, false_alarms, misses, _ = found.confusion()
    whole = 2 * hits + false_alarms + misses
    if whole <= 0:
        return Estimated(None, round(found.n), reason=Reason.ZERO_DENOMINATOR)
    slope = np.where(found.predicted, 2 * (whole - hits), -2 * hits) / whole**2
    return found.estimated(2 * hits / whole, slope)


ESTIMATE = of_scores("f1", f1)
