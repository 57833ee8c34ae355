"""Shares of a binary confusion matrix at the decision threshold, each with Wilson's interval; exact.

`precision` TP / (TP + FP), `recall` (true positive rate) TP / (TP + FN), `specificity` (true negative rate)
TN / (TN + FP), `false_positive_rate` FP / (TN + FP), `negative_predictive_value` TN / (TN + FN).
"""

from __future__ import annotations

from monitors.metrics import targets
from monitors.metrics.intervals import share
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package

_TN, _FP, _FN, _TP = range(4)
_RATES = {
    "precision": (_TP, _FP, Reason.ZERO_DENOMINATOR),
    "recall": (_TP, _FN, Reason.NO_POSITIVES),
    "specificity": (_TN, _FP, Reason.NO_NEGATIVES),
    "false_positive_rate": (_FP, _TN, Reason.NO_NEGATIVES),
    "negative_predictive_value": (_TN, _FN, Reason.ZERO_DENOMINATOR),
}
"""Name: what is counted, what else there could have been, and why there may be none of either."""


def _rate(name: str) -> Metric:
    counted, other, nothing = _RATES[name]

    def compute(summary: Summary, package: Package, feature: str = "") -> Value:
        del feature
        cells = targets.confusion(summary, package).ravel().tolist()
        baseline = targets.holdout(package, name)
        n = cells[counted] + cells[other]
        if not n and any(cells):
            return Value(None, baseline=baseline, reason=nothing)
        return share(cells[counted], n, baseline)

    return Metric(name, Kind.ACCURACY, targets.binary, compute, by_threshold=True)


METRICS = tuple(_rate(name) for name in _RATES)
