"""Every metric: one file with one constant, `METRIC` or (a family of them) `METRICS`, found by being in this folder.

A new metric is a new file; nothing else changes, and the contract tests find it as well.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from monitors.metrics.by_outcome_time import by_outcome_time
from monitors.metrics.drift import Statistic
from monitors.metrics.estimate_error import errors_of
from monitors.metrics.protocol import Metric, Value
from schemas.package import Package

__all__ = ["METRICS", "STATISTICS", "Metric", "Value", "metrics_of"]


_MODULES = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]


def _found() -> dict[str, Metric]:
    families = [getattr(one, "METRICS", (one.METRIC,) if hasattr(one, "METRIC") else ()) for one in _MODULES]
    metrics = [metric for family in families for metric in family]
    metrics += by_outcome_time(metrics)
    return {metric.name: metric for metric in sorted(metrics, key=lambda metric: metric.name)}


METRICS: dict[str, Metric] = _found()
METRICS = dict(sorted((METRICS | errors_of(METRICS)).items()))

# the drift statistics with a corrected effect, by name
STATISTICS: dict[str, Statistic] = {
    statistic.name.value: statistic for one in _MODULES if (statistic := getattr(one, "STATISTIC", None))
}


def metrics_of(package: Package) -> tuple[Metric, ...]:
    """The metrics that have a meaning for this package, by name."""
    return tuple(metric for metric in METRICS.values() if metric.applies(package))
