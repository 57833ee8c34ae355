"""Mean absolute error, in units of the target."""

from __future__ import annotations

from monitors.estimate.losses import foreseen, is_regression
from monitors.estimate.protocol import Estimate, Estimated
from monitors.summary import Summary
from schemas.observation import Reason
from schemas.package import Package


def _compute(summary: Summary, package: Package) -> Estimated:
    found = foreseen(summary, package)
    return Estimated(None, reason=found) if isinstance(found, Reason) else found.mean_loss("absolute")


ESTIMATE = Estimate("mae", is_regression, _compute, high=None)
