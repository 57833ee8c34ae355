"""Whether all values of a feature are in one bin of the baseline: 1 where they are, 0 where not.

A stuck sensor, a default that a form fills in. Where training was so too, that is its baseline and nothing new. With
few rows it may be chance: `too_few_rows` while training's own share of that bin to the power of n is above 0.001.

>>> import numpy as np
>>> from schemas.package import Baseline, CategoricalBins, Target, TargetType
>>> baseline = Baseline(features={"plan": CategoricalBins(("a", "b"), (600, 400, 0, 0, 0))})
>>> package = Package("m", "1", "m", Target("y", TargetType.REGRESSION), (), "onnx", baseline)
>>> for rows in (30, 6):  # all of them in plan b: by chance 0.4 ** 30, and 0.4 ** 6 = 0.004
...     found = METRIC.compute(Summary({"feature:plan": np.array([0, rows])}), package, "plan")
...     print(found.value, found.baseline, found.reason)
1.0 0.0 None
1.0 0.0 too_few_rows
"""

from __future__ import annotations

import numpy as np

from monitors.bins import bin_count
from monitors.metrics import targets
from monitors.metrics.protocol import Judgement, Metric, Value
from monitors.summary import Summary
from schemas.deployment import Settings
from schemas.observation import Kind, Reason, Status
from schemas.package import Package

CHANCE = 0.001


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    bins = package.baseline.features.get(feature)
    if bins is None:
        return Value(None, n=max(summary.count(f"feature:{feature}"), 0), reason=Reason.NO_BASELINE)
    counts = np.maximum(summary.vector(f"feature:{feature}", bin_count(bins)), 0)
    before, n = np.array(bins.counts, np.int64), int(counts.sum())
    usual = float(np.count_nonzero(before) == 1) if before.any() else None
    if not n:
        return Value(None, baseline=usual, reason=Reason.EMPTY)
    filled = np.flatnonzero(counts)
    if filled.size > 1:
        return Value(0.0, n=n, baseline=usual)
    share = (before[filled[0]] + 0.5) / (before.sum() + before.size / 2)
    return Value(1.0, n=n, baseline=usual, reason=Reason.TOO_FEW_ROWS if n * np.log(share) > np.log(CHANCE) else None)


def _judge(value: Value, feature: str, settings: Settings, closed: bool) -> Judgement:  # noqa: FBT001  # as every judge
    del feature, settings, closed
    if value.value is None:
        return Judgement(Status.UNKNOWN, reason=value.reason)
    if value.value <= (value.baseline or 0.0):
        return Judgement(Status.PASSING)
    return Judgement(Status.UNKNOWN if value.reason else Status.AT_RISK, reason=value.reason)


METRIC = Metric("constant", Kind.FEATURES, targets.always, _compute, per_feature=True, judge=_judge)
