"""The share of answers to an association ID that had been answered before; the join counts each ID once, the first.

Told in the window of the answer that was one too many. Per deployment: an ID may come again from any application.

>>> import numpy as np
>>> from monitors.whole import WHOLE
>>> METRIC.compute(Summary({"repeated": np.array([5]), "expected": np.array([95])}), WHOLE, "").value
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
    repeated = max(summary.count("repeated"), 0)
    return share(repeated, summary.count("expected") + repeated, 0.0)


METRIC = Metric("repeated_rate", Kind.ACCURACY, targets.always, _compute, judge=judge, live=True)
