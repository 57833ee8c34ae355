"""Mean absolute error, in units of the target."""

from __future__ import annotations

from monitors.estimate.losses import cells_of, is_regression, mean_loss
from monitors.estimate.protocol import Estimate, Estimated
from monitors.summary import Summary
from schemas.observation import Reason
from schemas.package import Package


def _compute(summary: Summary, package: Package) -> Estimated:
    found = cells_of(summary, package)
    if isinstance(found, Reason):
        return Estimated(None, reason=found)
    counts, losses = found
    return mean_loss(counts, losses, losses.absolute, losses.absolute_variance)


ESTIMATE = Estimate("mae", is_regression, _compute, high=None)
