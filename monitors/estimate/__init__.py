"""Estimates of accuracy before labels: one file each with one constant, `ESTIMATE` or (a family) `ESTIMATES`.

They are found by being in this folder.

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
    families = [getattr(one, "ESTIMATES", (one.ESTIMATE,) if hasattr(one, "ESTIMATE") else ()) for one in modules]
    estimates: list[Estimate] = [estimate for family in families for estimate in family]
    return {estimate.metric: estimate for estimate in sorted(estimates, key=lambda estimate: estimate.metric)}


ESTIMATES: dict[str, Estimate] = _found()
"""By the name of the metric that they stand for until its labels are in."""
