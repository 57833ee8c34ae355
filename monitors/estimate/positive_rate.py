"""The share of positives that is expected."""

from __future__ import annotations

import numpy as np

from monitors.estimate.protocol import Estimated
from monitors.estimate.scores import Expected, of_scores


def positive_rate(found: Expected) -> Estimated:
    """Expected positives over rows."""
    return found.estimated(float(found.positives.sum()) / found.n, np.full(found.counts.size, 1 / found.n))


ESTIMATE = of_scores("positive_rate", positive_rate)
