"""Estimates of accuracy before labels: one file for each metric with one constant, `ESTIMATE`, found by being here.

They rest on what the package learned on holdout and on what the model says now, and on one `ASSUMPTION`.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from monitors.estimate.protocol import Estimate, Estimated

__all__ = ["ASSUMPTION", "ESTIMATES", "Estimate", "Estimated"]

ASSUMPTION = (
    "Estimates assume that the chance of an outcome, given what the model says, is as it was on holdout: inputs may "
    "shift, what they mean may not (no concept drift)."
)
"""What stands beside estimates wherever people read them."""


def _found() -> dict[str, Estimate]:
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    estimates: list[Estimate] = [module.ESTIMATE for module in modules if hasattr(module, "ESTIMATE")]
    return {estimate.metric: estimate for estimate in sorted(estimates, key=lambda estimate: estimate.metric)}


ESTIMATES: dict[str, Estimate] = _found()
"""By the name of the metric that they stand for until its labels are in."""
