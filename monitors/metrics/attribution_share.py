"""How much of what moves the predictions is a feature's: its share in the mean size of attributions, and on holdout.

With an interval by the delta method (`monitors.attribution`). STATISTICS section 5. Of watched features only, which
sum to 1.
"""

from __future__ import annotations

from functools import partial
from math import sqrt

from monitors.attribution import EXPLAINED, LEFT_OUT, are_wanted, sizes_before, sizes_in
from monitors.metrics import targets
from monitors.metrics.intervals import Z
from monitors.metrics.protocol import Compute, Metric, Value
from monitors.summary import Summary
from schemas.deployment import Settings
from schemas.observation import Kind, Reason
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "", *, excluded: tuple[str, ...] = ()) -> Value:
    overflowed = Reason.OVERFLOW if summary.count(LEFT_OUT) > 0 else None
    if summary.count(EXPLAINED) <= 0 or feature in excluded:
        return Value(None, reason=overflowed or Reason.NOT_APPLICABLE)
    names = [one.name for one in package.features if one.name not in excluded]
    place, known = names.index(feature), package.baseline.attributions
    before = None if known is None else sizes_before(known, names)
    baseline = float(before.shares[place]) if before is not None and before.means.any() else None
    now = sizes_in(summary, package, names)
    if not now.means.any():
        return Value(None, n=now.n, baseline=baseline, reason=Reason.ZERO_DENOMINATOR)
    share, reach = float(now.shares[place]), Z * sqrt(now.share_variances[place])
    return Value(share, max(0.0, share - reach), min(1.0, share + reach), now.n, baseline, overflowed)


def _configured(settings: Settings) -> Compute:
    return partial(_compute, excluded=settings.excluded)


METRIC = Metric(
    "attribution_share",
    Kind.PREDICTIONS,
    targets.always,
    _compute,
    per_feature=True,
    configure=_configured,
    is_wanted=are_wanted,
)
