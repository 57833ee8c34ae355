"""The share of a category's values that training had none of. Case and spaces count: "Red" is not "red"."""

from __future__ import annotations

from monitors.metrics.quality import feature_rate
from monitors.summary import Counts
from schemas.package import Bins, CategoricalBins


def _unseen(bins: Bins, counts: Counts) -> int | None:
    return int(counts[-2]) if isinstance(bins, CategoricalBins) else None


METRIC = feature_rate("unseen_rate", _unseen)
