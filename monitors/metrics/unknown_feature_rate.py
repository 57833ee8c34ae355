"""The share of JSON requests that name a feature which the deployment does not have: their schema is another.

Such a feature is passed over and the request scored, so nothing else would say so. One request in 16 is looked at, by
its place in the topic, as naming all features of all requests would cost more than everything else; `n` are those. A
request in Avro has the deployment's schema and cannot have such a feature.

>>> import numpy as np
>>> from monitors.whole import WHOLE
>>> METRIC.compute(Summary({"schema:unknown": np.array([3]), "schema:checked": np.array([60])}), WHOLE, "").value
0.05
"""

from __future__ import annotations

from monitors.metrics import targets
from monitors.metrics.intervals import share
from monitors.metrics.protocol import Metric, Value
from monitors.metrics.quality import judge
from monitors.summary import Summary
from schemas.observation import Kind
from schemas.package import Package


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del package, feature
    return share(summary.count("schema:unknown"), summary.count("schema:checked"), 0.0)


METRIC = Metric("unknown_feature_rate", Kind.FEATURES, targets.always, _compute, judge=judge)
