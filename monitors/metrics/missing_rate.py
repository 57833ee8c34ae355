"""The share of a feature's values that are null, NaN or absent; of a required feature, the requests refused for it."""

from __future__ import annotations

from monitors.metrics.quality import feature_rate
from schemas.prediction import ErrorCode

METRIC = feature_rate("missing_rate", lambda _, counts: int(counts[-1]), ErrorCode.MISSING_FEATURE)
