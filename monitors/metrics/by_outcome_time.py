"""Accuracy by when it came true: every metric of accuracy a second time, of the rows whose actual is of the window.

By prediction time a window says how good the answers of that day were, once their actuals are in; by outcome time, how
good those answers were that came true on that day, whenever they were given: complete when the day is over, and first
to move when the world changes. Kept where the setting `by_outcome_time` asks for it, as it doubles the state.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from monitors.metrics.protocol import Metric
from schemas.observation import Kind

SUFFIX = "_by_outcome_time"


def by_outcome_time(metrics: Iterable[Metric]) -> list[Metric]:
    """Those metrics of accuracy that are of how good the model is, named after what they are of."""
    return [
        replace(metric, name=f"{metric.name}{SUFFIX}", kind=Kind.OUTCOMES)
        for metric in metrics
        if metric.kind is Kind.ACCURACY and not metric.live and metric.among is None
    ]
