"""To which packages a metric of accuracy applies, and what was said of them on holdout."""

from __future__ import annotations

import numpy as np

from monitors.folds.deviances import is_nonnegative
from monitors.summary import Counts, Summary
from schemas.package import Package, TargetType


def always(package: Package) -> bool:
    """Every package."""
    return bool(package.target)


def regression(package: Package) -> bool:
    """Numbers."""
    return package.target.type is TargetType.REGRESSION


def nonnegative(package: Package) -> bool:
    """Numbers whose logarithm makes sense: none below 0 on holdout."""
    return regression(package) and is_nonnegative(package)


def binary(package: Package) -> bool:
    """Two classes."""
    return package.target.type is TargetType.BINARY


def multiclass(package: Package) -> bool:
    """More than two classes."""
    return package.target.type is TargetType.MULTICLASS


def classification(package: Package) -> bool:
    """Classes."""
    return package.target.type is not TargetType.REGRESSION


def holdout(package: Package, name: str) -> float | None:
    """The metric's value on holdout."""
    return package.baseline.holdout.get(name)


def confusion(summary: Summary, package: Package) -> Counts:
    """Rows by actual (first axis) and predicted class."""
    classes = len(package.target.classes)
    counts = np.maximum(summary.vector("confusion", classes * classes), 0)
    return counts.reshape(classes, classes)
