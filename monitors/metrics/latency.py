"""How long answers took, in ms: mean and percentiles of execution time (the model's call) and of response time."""

from __future__ import annotations

from monitors.metrics.service import mean_time, percentile

PERCENTS = (50, 90, 95, 99)
TIMES = ("execution_ms", "response_ms")

METRICS = tuple(
    metric for name in TIMES for metric in (mean_time(name), *(percentile(name, percent) for percent in PERCENTS))
)
