"""The share of answered rows whose actual is known, exact.

Outcomes may be folded before the predictions they are of: a share above 1 is cut to 1 until those have come.
"""

from __future__ import annotations

from monitors.metrics import targets
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del package, feature
    expected = summary.count("expected")
    if expected <= 0:
        return Value(None, reason=Reason.EMPTY)
    return Value(min(max(summary.count("matched"), 0) / expected, 1.0), n=expected)


METRIC = Metric("coverage", Kind.ACCURACY, targets.always, _compute, live=True)
