"""Accuracy before labels as values: the estimate of a metric, and how far it was off once the labels are in."""

from __future__ import annotations

from monitors.estimate import ESTIMATES
from monitors.estimate.scores import SCORED
from monitors.metrics.protocol import Value
from monitors.summary import Summary
from schemas.observation import Reason
from schemas.package import Package


def expected_value(metric: str, summary: Summary, package: Package, *, trusted: bool) -> Value | None:
    """What a metric of all predictions of a window is expected to be, with a 95 % interval of what it will be.

    None where there is no estimate of it, or nothing was counted for one. `uncalibrated` where it is not `trusted`.
    """
    estimate = ESTIMATES.get(metric)
    if estimate is None or not estimate.applies(package) or summary.count(SCORED) <= 0:
        return None
    found = estimate.compute(summary, package)
    low, high = estimate.interval(found)
    reason = found.reason if trusted or found.value is None else Reason.UNCALIBRATED
    return Value(found.value, low, high, found.n, reason=reason)
