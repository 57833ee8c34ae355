"""Root mean squared error, in units of the target; its errors are those of the mean square, by the delta method."""

from __future__ import annotations

from math import sqrt

from monitors.estimate.losses import foreseen, is_regression
from monitors.estimate.protocol import Estimate, Estimated
from monitors.summary import Summary
from schemas.observation import Reason
from schemas.package import Package


def _compute(summary: Summary, package: Package) -> Estimated:
    found = foreseen(summary, package)
    if isinstance(found, Reason):
        return Estimated(None, reason=found)
    square = found.mean_loss("square")
    value = sqrt(square.value or 0.0)
    if not value or square.noise is None or square.doubt is None:
        return Estimated(value, square.n)
    return Estimated(value, square.n, square.noise / (2 * value), square.doubt / (2 * value))


ESTIMATE = Estimate("rmse", is_regression, _compute, high=None)
