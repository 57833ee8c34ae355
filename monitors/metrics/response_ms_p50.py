"""Percentile 50 of the response time in ms: request on Kafka to prediction produced."""

from __future__ import annotations

from monitors.metrics.service import latency

METRIC = latency("response_ms", 50)
