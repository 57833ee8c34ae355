"""Every metric: one file with one constant, `METRIC` or (a family of them) `METRICS`, found by being in this folder.

A new metric is a new file; nothing else changes, and the contract tests find it as well.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from monitors.metrics.protocol import Metric, Value
from schemas.package import Package

__all__ = ["METRICS", "Metric", "Value", "metrics_of"]


def _found() -> dict[str, Metric]:
    modules = (import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))
    families = [getattr(module, "METRICS", (module.METRIC,) if hasattr(module, "METRIC") else ()) for module in modules]
    metrics = [metric for family in families for metric in family]
    return {metric.name: metric for metric in sorted(metrics, key=lambda metric: metric.name)}


METRICS: dict[str, Metric] = _found()


def metrics_of(package: Package) -> tuple[Metric, ...]:
    """The metrics that have a meaning for this package, by name."""
    return tuple(metric for metric in METRICS.values() if metric.applies(package))
