"""How many answers took longer than the setting `slow_ms`, from the frozen histogram of response times.

Times are told apart at edges that are a factor of 2 ** (1/8) apart, so the count is of those beyond the edge nearest to
`slow_ms`, which is within 4.4 % of it (from 0.01 ms to 20 min); `low` and `high` are certain: those surely above, and
those perhaps above.

>>> from monitors.whole import WHOLE
>>> times_ms = [10.0] * 7 + [1_010.0] * 2 + [5_000.0]
>>> counts = np.bincount(np.searchsorted(LATENCY_EDGES_MS, times_ms), minlength=bin_count(LATENCY_BINS))
>>> found = METRIC.compute(Summary({"response_ms": counts}), WHOLE, "")  # slower than a second: 1,010 ms is too near
>>> found.value, found.low, found.high
(1.0, 1.0, 3.0)
"""

from __future__ import annotations

import numpy as np

from monitors.bins import LATENCY_BINS, LATENCY_EDGES_MS, bin_count
from monitors.metrics import targets
from monitors.metrics.protocol import Compute, Metric, Value
from monitors.summary import Summary
from schemas.deployment import Settings
from schemas.observation import Kind, Reason
from schemas.package import Package

_EDGES = np.array(LATENCY_EDGES_MS)


def _configure(settings: Settings) -> Compute:
    surely = int(np.searchsorted(_EDGES, settings.slow_ms))  # the first edge that is not below
    inside = surely < _EDGES.size and _EDGES[surely] == settings.slow_ms
    perhaps = surely if inside else max(surely - 1, 0)
    surely = min(surely, _EDGES.size - 1)
    nearest = min(perhaps, surely, key=lambda edge: abs(np.log(_EDGES[edge] / settings.slow_ms)))

    def compute(summary: Summary, package: Package, feature: str = "") -> Value:
        del package, feature
        counts = np.maximum(summary.vector("response_ms", bin_count(LATENCY_BINS)), 0)[:-1]
        n = int(counts.sum())
        if not n:
            return Value(None, reason=Reason.EMPTY)
        value, low, high = (float(counts[edge + 1 :].sum()) for edge in (nearest, surely, perhaps))
        return Value(value, low, high, n)

    return compute


METRIC = Metric("slow_requests", Kind.PREDICTIONS, targets.always, _configure(Settings()), configure=_configure)
