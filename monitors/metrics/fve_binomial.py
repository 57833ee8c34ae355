"""Fraction of variance explained of a binary target: 1 - log loss / log loss of the window's own base rate.

Exact. The interval is by the delta method; how losses go with classes is read off the score histograms for it.
"""

from __future__ import annotations

from math import log, sqrt

import numpy as np

from monitors.bins import package_prediction_bins
from monitors.metrics import targets
from monitors.metrics.intervals import around, left_out, mean, total
from monitors.metrics.protocol import Metric, Value
from monitors.metrics.scores import scored, unscored
from monitors.summary import Counts, Summary
from schemas.observation import Kind
from schemas.package import NumericBins, Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    baseline = targets.holdout(package, "fve_binomial")
    nothing = unscored(summary, package, "fve_binomial")
    if nothing is not None:
        return nothing
    loss = mean(summary, package, "log_loss", "log_loss2")
    if loss.value is None:
        return Value(None, baseline=baseline, reason=loss.reason)
    positives, negatives = scored(summary, package)
    rate = float(positives.sum() / (positives.sum() + negatives.sum()))
    null = -rate * log(rate) - (1 - rate) * log(1 - rate)
    explained = 1 - loss.value / null
    spread = max(0.0, total(summary, package, "log_loss2") / loss.n - loss.value**2)
    slope = loss.value / null * log((1 - rate) / rate)  # of the null loss, times the ratio
    together = rate * (_loss_of_positives(positives, package) - loss.value)
    variance = spread - 2 * slope * together + slope * slope * rate * (1 - rate)
    error = sqrt(max(0.0, variance) / loss.n) / null
    return around(explained, error, loss.n, baseline, (-np.inf, 1.0), left_out(summary, "log_loss"))


def _loss_of_positives(positives: Counts, package: Package) -> float:
    """The mean log loss of positives, each at the middle of its bin."""
    bins = package_prediction_bins(package)
    assert isinstance(bins, NumericBins)  # noqa: S101  # of a binary target
    ends = np.clip(np.concatenate([[0.0], bins.edges, [1.0]]), 1e-15, 1.0)
    middles = np.sqrt(ends[:-1] * ends[1:])
    return float((positives * -np.log(middles)).sum() / positives.sum())


METRIC = Metric("fve_binomial", Kind.ACCURACY, targets.binary, _compute)
