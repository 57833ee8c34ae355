"""How many different consumers asked.

Rows are counted in m = 4,096 places by a hash of the consumer's name; the number of names is read from the places that
are free (linear counting: Whang, Vander-Zanden, Taylor, ACM TODS 1990): `-m ln(free / m)`, rounded. With k consumers
its standard deviation is `sqrt(m (e^t - t - 1))`, t = k / m: 0.1 at 10, 0.5 at 50, 12 at 1,000. It is exact while no
two names share a place (10: 99 %, 50: 74 % of the time). `low` is certain: no fewer than places are taken.

>>> from monitors.whole import WHOLE
>>> places = np.zeros(CONSUMER_PLACES, np.int64)
>>> places[[7, 70, 700]] = (90, 9, 1)
>>> found = METRIC.compute(Summary({"consumers": places}), WHOLE, "")
>>> found.value, found.low, found.n
(3.0, 3.0, 100)
"""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np

from monitors.folds.load import CONSUMER_PLACES
from monitors.metrics import targets
from monitors.metrics.intervals import Z
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del package, feature
    places = summary.vector("consumers", CONSUMER_PLACES)
    n, taken = int(np.maximum(places, 0).sum()), int((places > 0).sum())
    if not n:
        return Value(None, reason=Reason.EMPTY)
    if taken == CONSUMER_PLACES:
        return Value(None, low=float(taken), n=n, reason=Reason.OVERFLOW)
    found = -CONSUMER_PLACES * log(1 - taken / CONSUMER_PLACES)
    share = found / CONSUMER_PLACES
    reach = Z * sqrt(CONSUMER_PLACES * (exp(share) - share - 1))
    return Value(float(max(round(found), taken)), float(taken), max(found, taken) + reach, n)


METRIC = Metric("consumers", Kind.PREDICTIONS, targets.always, _compute)
