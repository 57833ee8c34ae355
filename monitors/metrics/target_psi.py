"""Population stability index of what came true, against the actuals of holdout; see `psi`.

Of the actuals that have come so far: where some outcomes come sooner than others it is biased until all are there, so
it carries the coverage and state of an accuracy metric. Classes are bins; a number has the bins of a feature.

>>> import numpy as np
>>> from schemas.package import Baseline, NumericBins, Target, TargetType
>>> holdout = NumericBins((1.0, 2.0, 3.0, 4.0), (1000, 1000, 1000, 1000, 1000, 0))
>>> package = Package("m", "1", "m", Target("y", TargetType.REGRESSION), (), "onnx", Baseline(target=holdout))
>>> actuals = Summary({"target": np.array([80, 90, 100, 110, 110, 10])})  # the example of STATISTICS section 2
>>> f"{METRIC.compute(actuals, package, '').value:.4f}"
'0.1106'
"""

from __future__ import annotations

from monitors.bins import bin_count
from monitors.metrics import targets
from monitors.metrics.drift import drift_value, pair_of, quiet_limits
from monitors.metrics.protocol import Metric, Value
from monitors.metrics.psi import STATISTIC as PSI
from monitors.summary import Summary
from schemas.deployment import Limits
from schemas.observation import Kind, Reason
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    bins = package.baseline.target
    if bins is None:
        return Value(None, n=max(summary.count("matched"), 0), reason=Reason.NO_BASELINE)
    return drift_value(PSI, pair_of(bins, summary.vector("target", bin_count(bins))), package.baseline.target_noise)


def _quiet(package: Package, feature: str, rows: int) -> Limits:
    del feature
    return quiet_limits(PSI, package.baseline.target, package.baseline.target_noise, rows)


METRIC = Metric(
    "target_psi",
    Kind.ACCURACY,
    targets.always,
    _compute,
    live=True,
    drift=PSI.name,
    limits=PSI.limits,
    quiet=_quiet,
)
