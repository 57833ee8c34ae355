"""Population stability index of a feature: how far a window's bins are from those of training.

`sum (q - p) ln(q / p)`, in nats, over the frozen bins with below, above, unseen and missing. Half a pseudo-count per
bin: `p_k = (b_k + 1/2) / (N + K/2)`, `q_k = (c_k + (K/2) p_k) / (n + K/2)`; an empty window has distance 0. Without
drift the PSI is about `(1/n + 1/N) chi2(K+ - 1)` (Yurdakul, Western Michigan University 2018), so its mean E0 is taken
off: the value is `D = PSI - E0`, which may be below 0, and does not depend on the number of rows. The interval is
D +- 1.96 se, se by the delta method (STATISTICS section 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.bins import bin_count
from monitors.metrics import targets
from monitors.metrics.intervals import Z
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Counts, Summary
from schemas.observation import Kind, Reason
from schemas.package import Package


@dataclass(frozen=True, slots=True)
class Psi:
    """The index as it is, what it would be on average without drift, and the standard error of the difference."""

    plug_in: float
    expected: float
    standard_error: float

    @property
    def corrected(self) -> float:
        """D: what is left of the index after the noise of counting."""
        return self.plug_in - self.expected


def population_stability(baseline: Counts, window: Counts) -> Psi:
    """From counts per bin, both sums above 0.

    >>> psi = population_stability(np.array([1000] * 5 + [0]), np.array([80, 90, 100, 110, 110, 10]))
    >>> f"{psi.plug_in:.6f} {psi.expected:.4f} {psi.corrected:.4f} {psi.standard_error:.4f}"
    '0.119360 0.0088 0.1106 0.0505'
    """
    before, now, half = int(baseline.sum()), int(window.sum()), baseline.size / 2
    p = (baseline + 0.5) / (before + half)
    q = (window + half * p) / (now + half)
    ratio = np.log(q / p)
    noise = 1 / now + 1 / before
    freedom = max(int(np.count_nonzero(baseline)) - 1, 0)
    by_window = _variance(q, ratio + 1 - p / q) / now
    by_baseline = _variance(p, -ratio + 1 - q / p) / before
    error = np.sqrt(by_window + by_baseline + 2 * freedom * noise**2)
    return Psi(float(((q - p) * ratio).sum()), freedom * noise, float(error))


def _variance(weights: NDArray[np.floating[Any]], gradient: NDArray[np.floating[Any]]) -> float:
    mean = float((weights * gradient).sum())
    return max(0.0, float((weights * gradient * gradient).sum()) - mean * mean)


def psi_value(baseline: Counts, window: Counts) -> Value:
    """The corrected index; a warning where the window is all missing, or the baseline had one value only."""
    window = np.maximum(window, 0)
    rows = int(window.sum())
    if not rows:
        return Value(None, reason=Reason.EMPTY)
    if not baseline.any():
        return Value(None, n=rows, reason=Reason.NO_BASELINE)
    found = population_stability(baseline, window)
    reach = Z * found.standard_error
    warning = Reason.CONSTANT_BASELINE if np.count_nonzero(baseline) == 1 else None
    if int(window[-1]) == rows:
        warning = Reason.ALL_MISSING
    return Value(found.corrected, found.corrected - reach, found.corrected + reach, rows, reason=warning)


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    bins = package.baseline.features.get(feature)
    if bins is None:
        return Value(None, n=max(summary.count(f"feature:{feature}"), 0), reason=Reason.NO_BASELINE)
    return psi_value(np.array(bins.counts, np.int64), summary.vector(f"feature:{feature}", bin_count(bins)))


METRIC = Metric("psi", Kind.FEATURES, targets.always, _compute, per_feature=True)
