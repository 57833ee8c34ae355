"""What the metrics of a binary score share: its histograms by class, and why they may say nothing."""

from __future__ import annotations

import numpy as np

from monitors.bins import bin_count, package_prediction_bins
from monitors.metrics import targets
from monitors.metrics.protocol import Value
from monitors.summary import Counts, Summary
from schemas.observation import Reason
from schemas.package import Package


def scored(summary: Summary, package: Package) -> tuple[Counts, Counts]:
    """Positives and negatives per bin of the score, rows without a score left out."""
    width = bin_count(package_prediction_bins(package))
    return _counts(summary, "positives", width), _counts(summary, "negatives", width)


def _counts(summary: Summary, name: str, width: int) -> Counts:
    return np.maximum(summary.vector(name, width), 0)[: width - 1]


def unscored(summary: Summary, package: Package, name: str, *, classes: bool = True) -> Value | None:
    """Why there is no value: no score, or (where both `classes` are needed) no positive or no negative; else None."""
    baseline = targets.holdout(package, name)
    positives, negatives = scored(summary, package)
    n = int(positives.sum() + negatives.sum())
    if not n:
        reason = Reason.NO_PROBABILITY if summary.count("matched") > 0 else Reason.EMPTY
        return Value(None, baseline=baseline, reason=reason)
    if not classes or (positives.any() and negatives.any()):
        return None
    return Value(None, n=n, baseline=baseline, reason=Reason.NO_NEGATIVES if positives.any() else Reason.NO_POSITIVES)
