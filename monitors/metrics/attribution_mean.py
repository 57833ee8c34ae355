"""In which direction a feature moves the predictions: the mean of its attributions, signs and all, and that on holdout.

In the target's unit or in log-odds. On holdout it is 0 but for many classes, where it is of the predicted class; away
from 0 the feature now raises or lowers what the model says. `+- 1.96 sd / sqrt(n)`.
"""

from __future__ import annotations

from math import sqrt

from monitors.attribution import EXPLAINED, LEFT_OUT, SIGNED, SQUARE, are_wanted, summed
from monitors.metrics import targets
from monitors.metrics.intervals import Z
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    n, overflowed = summary.count(EXPLAINED), Reason.OVERFLOW if summary.count(LEFT_OUT) > 0 else None
    if n <= 0 or not feature:
        return Value(None, reason=overflowed or Reason.NOT_APPLICABLE)
    known = package.baseline.attributions
    mean = summed(summary, package, SIGNED, feature) / n
    variance = max(0.0, summed(summary, package, SQUARE, feature) / n - mean * mean)
    reach, baseline = Z * sqrt(variance / n), None if known is None else known.signed.get(feature)
    return Value(mean, mean - reach, mean + reach, n, baseline, overflowed)


METRIC = Metric("attribution_mean", Kind.PREDICTIONS, targets.always, _compute, per_feature=True, is_wanted=are_wanted)
