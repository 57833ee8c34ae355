"""The share of requests that failed by our fault: the model broke or was not there; Wilson's interval."""

from __future__ import annotations

from monitors.metrics.service import error_rate

METRIC = error_rate("system")
