"""Feature attribution drift: how far what moves the predictions has shifted from one feature to another.

`sum abs(s_j - b_j) / 2` of the features' shares in window and on holdout (`monitors.attribution`), in [0, 1]: the share
of all attribution that went elsewhere. The value is the effect D, corrected as that of any distance
(`monitors.metrics.drift`): without drift the difference of a feature is nearly normal, so that the mean is a sum of
half-normal means. STATISTICS section 5. Not applicable where no prediction is explained (the setting `explanations`).

>>> before = Sizes(10_000, np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.05, 0.01]))
>>> now = Sizes(1_000, np.array([0.4, 0.5, 0.1]), np.array([0.1, 0.15, 0.01]))
>>> [f"{each:.4f}" for each in effect(before, now)]
['0.1998', '0.1827', '0.2155']
"""

from __future__ import annotations

from functools import partial
from math import copysign, pi, sqrt

import numpy as np

from monitors.attribution import EXPLAINED, LEFT_OUT, Sizes, are_wanted, sizes_before, sizes_in
from monitors.metrics import targets
from monitors.metrics.intervals import Z
from monitors.metrics.protocol import Compute, Judgement, Metric, Value
from monitors.metrics.status import drift_status
from monitors.summary import Summary
from schemas.deployment import JointStatistic, Limits, Settings
from schemas.observation import Kind, Reason
from schemas.package import Package

NAME = JointStatistic.ATTRIBUTION_DRIFT.value
LIMITS = Limits(0.1, 0.2)
_LEAST_FEATURES = 2


def effect(before: Sizes, now: Sizes) -> tuple[float, float, float]:
    """D and its 95 % interval."""
    change = now.shares - before.shares
    distance = float(np.abs(change).sum()) / 2
    x, sign = distance * distance, np.sign(change) / 2
    spread = (2 * distance) ** 2 * (now.variance(sign) + before.variance(sign))
    each = now.share_variances + before.share_variances
    mean, quiet = float(np.sqrt(each).sum()) * sqrt(2 / pi) / 2, (1 - 2 / pi) * float(each.sum()) / 4
    left = x - mean * mean - quiet
    reach = Z * sqrt(spread + 4 * mean * mean * quiet + 2 * quiet * quiet)
    found = [copysign(sqrt(abs(one)), one) for one in (left, left - reach, left + reach)]
    return found[0], found[1], found[2]


def compared(summary: Summary, package: Package, excluded: tuple[str, ...]) -> tuple[Sizes, Sizes] | Reason:
    """Holdout and window of the watched features, or why there is nothing to compare."""
    names = [feature.name for feature in package.features if feature.name not in excluded]
    if summary.count(EXPLAINED) <= 0:
        return Reason.OVERFLOW if summary.count(LEFT_OUT) > 0 else Reason.NOT_APPLICABLE
    known = package.baseline.attributions
    if len(names) < _LEAST_FEATURES:
        return Reason.NOT_APPLICABLE
    if known is None:
        return Reason.NO_BASELINE
    before, now = sizes_before(known, names), sizes_in(summary, package, names)
    return (before, now) if before.means.any() and now.means.any() else Reason.ZERO_DENOMINATOR


def _compute(summary: Summary, package: Package, feature: str = "", *, excluded: tuple[str, ...] = ()) -> Value:
    del feature
    n, found = max(summary.count(EXPLAINED), 0), compared(summary, package, excluded)
    if isinstance(found, Reason):
        return Value(None, n=n, reason=found)
    return Value(*effect(*found), n, reason=Reason.OVERFLOW if summary.count(LEFT_OUT) > 0 else None)


def _configured(settings: Settings) -> Compute:
    return partial(_compute, excluded=settings.excluded)


def _judge(value: Value, feature: str, settings: Settings, closed: bool) -> Judgement:  # noqa: FBT001 -- the protocol's
    del feature, closed
    return drift_status(value, settings.thresholds.statistics.get(NAME, LIMITS))


METRIC = Metric(
    NAME, Kind.PREDICTIONS, targets.always, _compute, judge=_judge, configure=_configured, is_wanted=are_wanted
)
