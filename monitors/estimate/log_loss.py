"""Log loss in nats: of two classes at the middle of each score bin, of many as summed row by row."""

from __future__ import annotations

from math import sqrt

import numpy as np

from monitors.estimate.classes import confusion, is_multiclass
from monitors.estimate.protocol import Estimate, Estimated
from monitors.estimate.scores import Expected, by_scores, is_binary
from monitors.fixed_point import as_float
from monitors.summary import Summary
from schemas.observation import Reason
from schemas.package import Package

LOSS, SQUARE = "expected_log_loss", "expected_log_loss2"
"""Sums over rows of the loss that is expected of each, and of the variance of its label's loss."""


def of_scores(found: Expected) -> Estimated:
    """`slope` is the loss of a positive less that of a negative row, over n."""
    hit, miss = -np.log(found.scores), -np.log1p(-found.scores)
    value = float((found.positives * hit + found.negatives * miss).sum()) / found.n
    return found.estimated(value, (hit - miss) / found.n)


def of_classes(summary: Summary, package: Package) -> Estimated:
    """Of many classes; the doubt is that of the mean over so many holdout rows."""
    table = confusion(summary, package)
    if isinstance(table, Reason):
        return Estimated(None, reason=table)
    n = float(table.sum())
    value, variance = (as_float(summary.sums.get(name, 0), 1.0) / n for name in (LOSS, SQUARE))
    variance = max(variance, 0.0)
    return Estimated(value, round(n), sqrt(variance / n), sqrt(variance / max(package.baseline.holdout_rows, 1)))


def _compute(summary: Summary, package: Package) -> Estimated:
    return by_scores(of_scores)(summary, package) if is_binary(package) else of_classes(summary, package)


ESTIMATE = Estimate("log_loss", lambda package: is_binary(package) or is_multiclass(package), _compute, high=None)
