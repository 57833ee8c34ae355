"""The share of requests refused for what was in them: an input missing, of a wrong type or time; Wilson's interval."""

from __future__ import annotations

from monitors.metrics.service import error_rate

METRIC = error_rate("data")
