"""Reconstruction error of a window's rows: how far features have ceased to go together as they did in training.

`D = (mean - baseline mean) / baseline sd` of the rows' errors (`monitors.reconstruction`), which does not depend on
the number of rows; the interval is D +- 1.96 se, se from the window's own sd over sqrt(n). STATISTICS section 5. Below
0 rows are more alike than in training, as where values are missing: the statistics of single features say that.

Not applicable where a feature that the components need is excluded: without it the errors are others.

>>> import numpy as np
>>> from schemas.package import Baseline, Pca, Target, TargetType
>>> baseline = Baseline(pca=Pca(("a", "b"), (0.0, 0.0), (1.0, 1.0), b"", error_mean=1.0, error_sd=0.5))
>>> package = Package("m", "1", "m", Target("y", TargetType.REGRESSION), (), "onnx", baseline)
>>> rows = Summary({COUNT: np.array([100])}, {SUM: 130 << 32, SQUARES: 194 << 32})  # a mean of 1.3, an sd of 0.5
>>> found = METRIC.compute(rows, package, "")
>>> f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
'0.600 [0.404, 0.796]'
"""

from __future__ import annotations

from math import sqrt

from monitors.metrics.intervals import Z, total
from monitors.metrics.protocol import Judgement, Metric, Value
from monitors.metrics.status import drift_status
from monitors.reconstruction import COUNT, SQUARES, SUM
from monitors.summary import Summary
from schemas.deployment import JointStatistic, Limits, Settings
from schemas.observation import Kind, Reason
from schemas.package import Package

NAME = JointStatistic.RECONSTRUCTION_ERROR.value
LIMITS = Limits(0.25, 0.5)


def _has_components(package: Package) -> bool:
    return package.baseline.pca is not None


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    pca, n = package.baseline.pca, summary.count(COUNT)
    if pca is None:
        return Value(None, reason=Reason.NO_BASELINE)
    if n <= 0:
        return Value(None, reason=Reason.NOT_APPLICABLE if summary.count("rows") > 0 else Reason.EMPTY)
    mean = total(summary, package, SUM) / n
    variance = max(0.0, total(summary, package, SQUARES) / n - mean * mean)
    effect, reach = (mean - pca.error_mean) / pca.error_sd, Z * sqrt(variance / n) / pca.error_sd
    return Value(effect, effect - reach, effect + reach, n)


def _judge(value: Value, feature: str, settings: Settings, closed: bool) -> Judgement:  # noqa: FBT001 -- the protocol's
    del feature, closed
    return drift_status(value, settings.thresholds.statistics.get(NAME, LIMITS))


METRIC = Metric(NAME, Kind.FEATURES, _has_components, _compute, judge=_judge)
