"""Mean over classes of their F1, from the expected confusion; a class that nobody is expected to be in is left out."""

from __future__ import annotations

import numpy as np

from monitors.estimate.classes import confusion, is_multiclass
from monitors.estimate.protocol import Estimate, Estimated
from monitors.summary import Summary
from schemas.observation import Reason
from schemas.package import Package


def _compute(summary: Summary, package: Package) -> Estimated:
    table = confusion(summary, package)
    if isinstance(table, Reason):
        return Estimated(None, reason=table)
    n = round(float(table.sum()))
    expected, predicted = table.sum(axis=0), table.sum(axis=1)
    present = expected > 0
    per_class = 2 * np.diagonal(table)[present] / (expected + predicted)[present]
    return Estimated(float(per_class.mean()), n, reason=None if present.all() else Reason.ONE_CLASS)


ESTIMATE = Estimate("f1_macro", is_multiclass, _compute)
