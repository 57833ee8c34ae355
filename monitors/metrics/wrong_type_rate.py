"""The share of requests refused because this feature was of a wrong type: a text where a number belongs.

Of all requests that were read, those refused for anything else among them; only JSON can have such ones.

>>> import numpy as np
>>> from monitors.whole import WHOLE
>>> counts = {"refused:wrong_type:age": np.array([2]), "refused": np.array([5]), "rows": np.array([95])}
>>> METRIC.compute(Summary(counts), WHOLE, "age").value
0.02
"""

from __future__ import annotations

from monitors.metrics import targets
from monitors.metrics.intervals import share
from monitors.metrics.protocol import Metric, Value
from monitors.metrics.quality import judge
from monitors.summary import Summary
from schemas.observation import Kind
from schemas.package import Package
from schemas.prediction import ErrorCode


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del package
    wrong = summary.count(f"refused:{ErrorCode.WRONG_TYPE}:{feature}")
    return share(wrong, summary.count("rows") + summary.count("refused"), 0.0)


METRIC = Metric("wrong_type_rate", Kind.FEATURES, targets.always, _compute, per_feature=True, judge=judge)
