"""Matthews correlation of predicted and actual class: 1 always right, 0 no better than chance, -1 always wrong; exact.

`(TP TN - FP FN) / sqrt((TP + FN) (TN + FP) (TP + FP) (TN + FN))`, 0 / 0 is a reason. The interval is by the delta
method on the confusion counts.
"""

from __future__ import annotations

from math import sqrt

from monitors.metrics import targets
from monitors.metrics.intervals import around
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package


def mcc_with_error(hits: int, false_alarms: int, misses: int, rest: int) -> tuple[float, float]:
    """The correlation and its standard error; both classes must be there, among the actual and the predicted ones.

    >>> value, error = mcc_with_error(78, 37, 22, 206)
    >>> f"{value:.6f} {error:.4f}"
    '0.604316 0.0461'
    """
    positives, negatives, called, passed = hits + misses, rest + false_alarms, hits + false_alarms, rest + misses
    scale = sqrt(positives) * sqrt(negatives) * sqrt(called) * sqrt(passed)
    value = (hits * rest - false_alarms * misses) / scale
    gradients = (
        (hits, rest / scale - value / 2 * (1 / positives + 1 / called)),
        (rest, hits / scale - value / 2 * (1 / negatives + 1 / passed)),
        (false_alarms, -misses / scale - value / 2 * (1 / negatives + 1 / called)),
        (misses, -false_alarms / scale - value / 2 * (1 / positives + 1 / passed)),
    )
    return value, sqrt(sum(count * slope * slope for count, slope in gradients))


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    baseline = targets.holdout(package, "mcc")
    table = targets.confusion(summary, package)
    n = int(table.sum())
    if not n:
        return Value(None, baseline=baseline, reason=Reason.EMPTY)
    if not (table.any(axis=0).all() and table.any(axis=1).all()):
        reason = Reason.ZERO_DENOMINATOR if table.any(axis=1).all() else Reason.ONE_CLASS
        return Value(None, n=n, baseline=baseline, reason=reason)
    (rest, false_alarms), (misses, hits) = table.tolist()
    return around(*mcc_with_error(hits, false_alarms, misses, rest), n, baseline, (-1.0, 1.0))


METRIC = Metric("mcc", Kind.ACCURACY, targets.binary, _compute, by_threshold=True)
