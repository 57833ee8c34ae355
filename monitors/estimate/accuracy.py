"""Accuracy: how many rows are expected to be of the class that was predicted."""

from __future__ import annotations

import numpy as np

from monitors.estimate.classes import confusion, estimated, is_multiclass
from monitors.estimate.protocol import Estimate, Estimated
from monitors.estimate.scores import Expected, by_scores, is_binary
from monitors.summary import Summary
from schemas.observation import Reason
from schemas.package import Package


def of_scores(found: Expected) -> Estimated:
    """Of two classes: `(TP + TN)/n`; one row more that is positive is right where positive is predicted."""
    hits, _, _, rejections = found.confusion()
    return found.estimated((hits + rejections) / found.n, np.where(found.predicted, 1.0, -1.0) / found.n)


def of_classes(summary: Summary, package: Package) -> Estimated:
    """Of many classes: the share on the diagonal."""
    table = confusion(summary, package)
    if isinstance(table, Reason):
        return Estimated(None, reason=table)
    n = float(table.sum())
    return estimated(min(float(table.trace()) / n, 1.0), np.eye(len(table)) / n, table, package)


def _compute(summary: Summary, package: Package) -> Estimated:
    return by_scores(of_scores)(summary, package) if is_binary(package) else of_classes(summary, package)


ESTIMATE = Estimate("accuracy", lambda package: is_binary(package) or is_multiclass(package), _compute)
