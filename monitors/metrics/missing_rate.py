"""The share of a feature's values that are null, NaN or absent; of a required feature, the requests refused for it.

>>> import numpy as np
>>> from monitors.summary import Summary
>>> from schemas.package import Baseline, NumericBins, Package, Target, TargetType
>>> bins = NumericBins((0.0, 1.0), (0, 100, 0, 0))  # below, between, above, missing
>>> package = Package("m", "1", "m", Target("y", TargetType.REGRESSION), (), "onnx", Baseline(features={"age": bins}))
>>> METRIC.compute(Summary({"feature:age": np.array([3, 90, 2, 5])}), package, "age").value
0.05
"""

from __future__ import annotations

from monitors.metrics.quality import feature_rate
from schemas.prediction import ErrorCode

METRIC = feature_rate("missing_rate", lambda _, counts: int(counts[-1]), ErrorCode.MISSING_FEATURE)
