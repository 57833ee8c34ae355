"""Normalised Gini coefficient of a binary score, `2 AUC - 1`; its bound is twice that of the AUC."""

from __future__ import annotations

from dataclasses import replace

from monitors.metrics import targets
from monitors.metrics.auc import METRIC as AUC
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    area = AUC.compute(summary, package, feature)
    value, low, high = (None if one is None else 2 * one - 1 for one in (area.value, area.low, area.high))
    bound = None if area.bound is None else 2 * area.bound
    return replace(area, value=value, low=low, high=high, baseline=targets.holdout(package, "gini"), bound=bound)


METRIC = Metric("gini", Kind.ACCURACY, targets.binary, _compute)
