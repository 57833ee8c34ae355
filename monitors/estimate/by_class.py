"""Precision, recall and F1 of many classes, over classes and weighted, from the expected confusion.

As `monitors.metrics.by_class` has them of what came true: a class that nobody is expected to be in is left out, and
`one_class` said; one that was never predicted has no precision, and `zero_denominator` is said.
"""

from __future__ import annotations

from monitors.class_means import PARTS, averaged, denominators
from monitors.estimate.classes import confusion, estimated, is_multiclass
from monitors.estimate.protocol import Estimate, Estimated
from monitors.summary import Summary
from schemas.observation import Reason
from schemas.package import Package


def _estimate(measure: str, *, weighted: bool) -> Estimate:
    def compute(summary: Summary, package: Package) -> Estimated:
        table = confusion(summary, package)
        if isinstance(table, Reason):
            return Estimated(None, reason=table)
        by_actual = table.T
        expected, below = by_actual.sum(axis=1) > 0, denominators(by_actual, measure) > 0
        if not (expected & below).any():
            return Estimated(None, round(float(table.sum())), reason=Reason.ZERO_DENOMINATOR)
        value, slopes = averaged(by_actual, measure, weighted=weighted)
        warning = None if expected.all() else Reason.ONE_CLASS
        if not below[expected].all():
            warning = Reason.ZERO_DENOMINATOR
        return estimated(value, slopes.T, table, package, warning)

    return Estimate(f"{measure}_{'weighted' if weighted else 'macro'}", is_multiclass, compute)


ESTIMATES = tuple(_estimate(measure, weighted=weighted) for measure in PARTS for weighted in (False, True))
