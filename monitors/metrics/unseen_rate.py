"""The share of a category's values that training had none of. Case and spaces count: "Red" is not "red".

>>> import numpy as np
>>> from monitors.summary import Summary
>>> from schemas.package import Baseline, Package, Target, TargetType
>>> bins = CategoricalBins(("red", "blue"), (60, 40, 0, 0, 0))  # and: other, unseen, missing
>>> package = Package("m", "1", "m", Target("y", TargetType.REGRESSION), (), "onnx", Baseline(features={"ink": bins}))
>>> METRIC.compute(Summary({"feature:ink": np.array([50, 42, 0, 8, 0])}), package, "ink").value
0.08
"""

from __future__ import annotations

from monitors.metrics.quality import feature_rate
from monitors.summary import Counts
from schemas.package import Bins, CategoricalBins


def _unseen(bins: Bins, counts: Counts) -> int | None:
    return int(counts[-2]) if isinstance(bins, CategoricalBins) else None


METRIC = feature_rate("unseen_rate", _unseen)
