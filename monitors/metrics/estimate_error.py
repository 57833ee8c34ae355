"""How far a window's estimate was off: estimate - realised, once no prediction of it is pending.

A metric for each that is estimated, named after it ("accuracy_estimate_error"). The interval is that of the estimate:
it holds 0 in 95 % of windows if scores mean what they meant on holdout. `not_resolved` while actuals are missing: the
predictions whose actuals come first are not like the others.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitors.estimate import ESTIMATES, Estimate
from monitors.estimate.scores import SCORED
from monitors.metrics.intervals import Z
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package


def errors_of(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """The errors of the estimates of these metrics, by name."""
    found = [_error(metrics[name], estimate) for name, estimate in ESTIMATES.items() if name in metrics]
    return {metric.name: metric for metric in found}


def _error(realised: Metric, estimate: Estimate) -> Metric:
    def applies(package: Package) -> bool:
        return realised.applies(package) and estimate.applies(package)

    def compute(summary: Summary, package: Package, feature: str = "") -> Value:
        asked, scored = summary.count("expected"), summary.count(SCORED)
        if scored <= 0:
            # what was told of rows that turned out to be repeated must be taken back; older rows have no estimate
            return Value(None, reason=Reason.NOT_APPLICABLE if asked > 0 else Reason.EMPTY)
        if asked > sum(summary.count(name) for name in ("matched", "invalid_actual", "expired")):
            return Value(None, n=scored, reason=Reason.NOT_RESOLVED)
        before, after = estimate.compute(summary, package), realised.compute(summary, package, feature)
        if before.value is None or after.value is None:
            return Value(None, n=after.n, reason=before.reason or after.reason)
        error = before.value - after.value
        if before.error is None:
            return Value(error, n=after.n)
        return Value(error, error - Z * before.error, error + Z * before.error, after.n)

    return Metric(f"{realised.name}_estimate_error", Kind.ACCURACY, applies, compute, live=True)
