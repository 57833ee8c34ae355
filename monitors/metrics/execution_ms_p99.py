"""Percentile 99 of the execution time in ms: the model's call for the row's batch."""

from __future__ import annotations

from monitors.metrics.service import latency

METRIC = latency("execution_ms", 99)
