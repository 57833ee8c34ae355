"""What the metrics of data quality share: a rate of bad values of a feature, and its status.

A rate has Wilson's interval and stands beside the rate of the training data. Its status is that of the difference, by
the rule of every effect (STATISTICS section 3): at risk from one point above the baseline, failing from five, unless
the settings say otherwise; unknown while there are too few rows to tell.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from monitors.bins import bin_count
from monitors.metrics import targets
from monitors.metrics.intervals import share
from monitors.metrics.protocol import Judgement, Metric, Value
from monitors.metrics.status import drift_status
from monitors.summary import Counts, Summary
from schemas.deployment import Limits, Settings
from schemas.observation import Kind, Reason
from schemas.package import Bins, Package
from schemas.prediction import ErrorCode

Bad = Callable[[Bins, Counts], int | None]
"""Bad values among counts per bin; None where the feature cannot have them."""


def feature_rate(name: str, bad: Bad, refused: ErrorCode | None = None) -> Metric:
    """The share of a feature's values that are bad; requests `refused` for that reason are among them."""

    def compute(summary: Summary, package: Package, feature: str = "") -> Value:
        bins = package.baseline.features.get(feature)
        if bins is None:
            return Value(None, n=max(summary.count(f"feature:{feature}"), 0), reason=Reason.NO_BASELINE)
        counts = np.maximum(summary.vector(f"feature:{feature}", bin_count(bins)), 0)
        hits, before = bad(bins, counts), np.array(bins.counts, np.int64)
        if hits is None:
            return Value(None, reason=Reason.NOT_APPLICABLE)
        turned_away = max(summary.count(f"refused:{refused}:{feature}"), 0) if refused else 0
        usual = (bad(bins, before) or 0) / int(before.sum()) if before.any() else None
        return share(hits + turned_away, int(counts.sum()) + turned_away, usual)

    return Metric(name, Kind.FEATURES, targets.always, compute, per_feature=True, judge=judge)


def judge(value: Value, feature: str, settings: Settings, closed: bool) -> Judgement:  # noqa: FBT001  # as every judge
    """The status of a rate by how far it is above its baseline.

    >>> judge(Value(0.03, 0.027, 0.033, 12_000, baseline=0.0), "age", Settings(), True).status.value
    'at_risk'
    """
    del feature, closed
    usual = value.baseline or 0.0
    value_above, low, high = (None if one is None else one - usual for one in (value.value, value.low, value.high))
    effect = Value(value_above, low, high, value.n, reason=value.reason)
    return drift_status(effect, Limits(settings.quality.at_risk, settings.quality.failing))
