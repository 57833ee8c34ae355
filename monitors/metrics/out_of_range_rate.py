"""The share of a number's values below the least or above the greatest of training; infinities are among them.

>>> import numpy as np
>>> from monitors.summary import Summary
>>> from schemas.package import Baseline, Package, Target, TargetType
>>> bins = NumericBins((0.0, 1.0), (0, 100, 0, 0))  # below, between, above, missing
>>> package = Package("m", "1", "m", Target("y", TargetType.REGRESSION), (), "onnx", Baseline(features={"age": bins}))
>>> METRIC.compute(Summary({"feature:age": np.array([3, 90, 2, 5])}), package, "age").value
0.05
"""

from __future__ import annotations

from monitors.metrics.quality import feature_rate
from monitors.summary import Counts
from schemas.package import Bins, NumericBins
from schemas.prediction import ErrorCode


def _outside(bins: Bins, counts: Counts) -> int | None:
    if not isinstance(bins, NumericBins):
        return None
    return int(counts[0] + counts[len(bins.edges)]) if bins.edges else 0


METRIC = feature_rate("out_of_range_rate", _outside, ErrorCode.NOT_FINITE)
