"""Whether the features still come in the same order: normalised discounted cumulative gain of the window's ranking.

Features are ranked by their share in the window's attributions; the gain of each is its share on holdout. 1 where the
order is that of holdout; changes at the top weigh more than below (Jarvelin and Kekalainen, TOIS 2002):

    NDCG = sum_r gain(feature at rank r) / log2(r + 1), over the same of the best order

Features of equal share share the discounts of their ranks. It sees the order only: shares may move far and leave it as
it is, so it has no status of its own; `attribution_drift` has. The interval is of orders within the noise: the window's
shares moved by 1.96 standard errors, those of the r heaviest features on holdout down and the others up, or the other
way; the least and the greatest for any r up to 20. That is wider than 95 %, as not all err at once.

>>> round(ndcg(np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])), 6)
0.809953
"""

from __future__ import annotations

from functools import partial

import numpy as np

from monitors.attribution import EXPLAINED, LEFT_OUT, Floats, are_wanted
from monitors.metrics import targets
from monitors.metrics.attribution_drift import compared
from monitors.metrics.intervals import Z
from monitors.metrics.protocol import Compute, Metric, Value
from monitors.summary import Summary
from schemas.deployment import Settings
from schemas.observation import Kind, Reason
from schemas.package import Package

_MOST_MOVED = 20


def ndcg(gains: Floats, scores: Floats) -> float:
    """Of the ranking by `scores`; the gains are not negative, and one is above 0."""
    discounts = 1 / np.log2(np.arange(2, gains.size + 2))
    _, ties, sizes = np.unique(-scores, return_inverse=True, return_counts=True)
    shared = np.bincount(np.sort(ties), discounts) / sizes
    return float((gains * shared[ties]).sum() / (np.sort(gains)[::-1] * discounts).sum())


def _compute(summary: Summary, package: Package, feature: str = "", *, excluded: tuple[str, ...] = ()) -> Value:
    del feature
    n, found = max(summary.count(EXPLAINED), 0), compared(summary, package, excluded)
    if isinstance(found, Reason):
        return Value(None, n=n, reason=found)
    before, now = found
    value = ndcg(before.shares, now.shares)
    reach = Z * np.sqrt(now.share_variances)
    near = [value]
    for heaviest in np.argsort(-before.shares, kind="stable")[:-1][:_MOST_MOVED].tolist():
        reach[heaviest] *= -1
        near += [ndcg(before.shares, now.shares + reach), ndcg(before.shares, now.shares - reach)]
    reason = Reason.OVERFLOW if summary.count(LEFT_OUT) > 0 else None
    return Value(value, min(near), max(near), n, 1.0, reason)


def _configured(settings: Settings) -> Compute:
    return partial(_compute, excluded=settings.excluded)


METRIC = Metric(
    "attribution_ndcg", Kind.PREDICTIONS, targets.always, _compute, configure=_configured, is_wanted=are_wanted
)
