"""F1 of the positive class, `2 TP / (2 TP + FP + FN)`; exact, interval by the delta method on the confusion counts."""

from __future__ import annotations

from math import sqrt

from monitors.metrics import targets
from monitors.metrics.intervals import around
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package


def f1_with_error(hits: int, false_alarms: int, misses: int) -> tuple[float, float]:
    """F1 and its standard error, for counts that are not all 0.

    >>> f1, error = f1_with_error(78, 37, 22)
    >>> f"{f1:.6f} {error:.5f}"
    '0.725581 0.03435'
    """
    wrong = false_alarms + misses
    whole = 2 * hits + wrong
    of_hits, of_wrong = 2 * wrong / whole**2, 2 * hits / whole**2
    return 2 * hits / whole, sqrt(hits * of_hits**2 + wrong * of_wrong**2)


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    baseline = targets.holdout(package, "f1")
    table = targets.confusion(summary, package)
    n = int(table.sum())
    (_, false_alarms), (misses, hits) = table.tolist()
    if not hits + false_alarms + misses:
        return Value(None, n=n, baseline=baseline, reason=Reason.ZERO_DENOMINATOR if n else Reason.EMPTY)
    return around(*f1_with_error(hits, false_alarms, misses), n, baseline, (0.0, 1.0))


METRIC = Metric("f1", Kind.ACCURACY, targets.binary, _compute, by_threshold=True)
