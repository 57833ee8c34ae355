"""How long labels take, from cohorts of which the young ones cannot tell yet (STATISTICS section 7).

Rules:
- A cohort is a bucket of predictions. Its labels are counted by *delay*: from the end of the bucket to the event time
  of the actual, at most 0 for those that came inside it. So a delay and the age of a bucket are on one scale: at age a
  every label with a delay up to a could be in, and none beyond. That makes a whole bucket resolved or not, exactly; a
  delay counted from each row's own time would leave every bin half open for some rows of every bucket. It falls short
  of the row's own delay by less than a bucket.
- Bins are right-closed and frozen: minutes, hours, single days up to 400, then weeks and months to ten years. A factor
  between neighbours (40 bins over all) would tell 138 days from 97 and 203 only. Empty bins cost nothing.
- The share of labels that are in by an age is Kaplan and Meier's (JASA 1958): the median of those matched is too short,
  as it is of the quick ones. Labels that never come make it level off below 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from monitors.summary import Counts
from schemas.deployment import DAY_MS, HOUR_MS, MINUTE_MS

Longs = NDArray[np.int64]
Floats = NDArray[np.float64]

DELAY = "delay"
"""The name of the counts of labels by delay in a summary of accuracy."""

EDGES_MS: Longs = np.array(
    [
        0,
        *(minutes * MINUTE_MS for minutes in (1, 2, 3, 5, 7, 10, 15, 20, 30, 45)),
        *(hours * HOUR_MS for hours in (1, 2, 3, 4, 6, 8, 10, 12, 16, 20)),
        *(days * DAY_MS for days in (*range(1, 401), *range(407, 1_100, 7), *range(1_100, 3_701, 28))),
    ],
    np.int64,
)
"""Upper ends of the bins; the last bin has none."""
DELAY_BINS = EDGES_MS.size + 1

_Z = 1.96
_ROUNDING = 1e-12


def delay_bins(delays_ms: Longs) -> NDArray[np.intp]:
    """The bin of each delay.

    >>> delay_bins(np.array([-5, 0, 1, MINUTE_MS, DAY_MS + 1])).tolist()
    [0, 0, 1, 1, 22]
    """
    return np.searchsorted(EDGES_MS, delays_ms, side="left")


def complete_bins(ages_ms: Longs) -> Longs:
    """How many bins a cohort of each age has seen to their end.

    >>> complete_bins(np.array([-1, 0, MINUTE_MS, 2 * MINUTE_MS - 1])).tolist()
    [0, 1, 2, 2]
    """
    return np.searchsorted(EDGES_MS, ages_ms, side="right")


@dataclass(frozen=True, slots=True)
class Quantile:
    """The age (ms) by which a share of labels is in, None where no cohort is old enough; a 95 % interval likewise."""

    age_ms: int | None
    low_ms: int | None = None
    high_ms: int | None = None


@dataclass(frozen=True)
class Curve:
    """The share of labels that are in by the end of each bin, and its standard error (Greenwood)."""

    shares: Floats
    errors: Floats

    @cached_property
    def _bounds(self) -> tuple[Floats, Floats]:
        reach = _Z * self.errors
        low, high = np.clip(self.shares - reach, 0, 1), np.clip(self.shares + reach, 0, 1)
        return np.maximum.accumulate(low), np.maximum.accumulate(high)

    def quantile(self, share: float) -> Quantile:
        """When this share of all labels is in; its interval is of the ages at which the curve's has it."""
        low, high = self._bounds
        return Quantile(_first(self.shares, share), _first(high, share), _first(low, share))


def kaplan_meier(complete: Longs, expected: Longs, matched: Counts) -> Curve:
    """The curve of cohorts: bins that each has seen to their end (n,), rows (n,), labels by bin (n, bins).

    `h_d = sum m_id / sum (expected_i - sum_{j<d} m_ij)` over the cohorts with `complete_i > d`, `F = 1 - prod(1 - h)`.

    >>> weeks = np.array([[40, 25, 15, 10], [50, 30, 16, 0], [44, 28, 0, 0], [38, 0, 0, 0]])
    >>> curve = kaplan_meier(np.array([4, 3, 2, 1]), np.array([100, 120, 110, 90]), weeks)
    >>> curve.shares.round(4).tolist()
    [0.4095, 0.6596, 0.8003, 0.9001]
    """
    matched = np.maximum(matched, 0)
    seen = complete[:, None] > np.arange(int(complete.max(initial=0)))
    bins = seen.shape[1]
    came = np.zeros((len(complete), bins), np.int64)
    came[:, : min(bins, matched.shape[1])] = matched[:, :bins]
    waiting = expected[:, None] - (np.cumsum(came, axis=1) - came)
    at_risk = np.where(seen, np.maximum(waiting, 0), 0).sum(axis=0)
    events = np.minimum(np.where(seen, came, 0).sum(axis=0), at_risk)
    left = at_risk - events
    with np.errstate(divide="ignore", invalid="ignore"):
        survival = np.cumprod(np.where(at_risk > 0, left / at_risk, 1.0), dtype=np.float64)
        greenwood = np.cumsum(np.where(left > 0, events / (at_risk * left.astype(np.float64)), 0.0), dtype=np.float64)
    return Curve(1.0 - survival, survival * np.sqrt(greenwood))


def _first(shares: Floats, share: float) -> int | None:
    """The end of the first bin by which a share is reached; the last bin has no end."""
    reached = np.flatnonzero(shares[: EDGES_MS.size] >= share - _ROUNDING)
    return int(EDGES_MS[reached[0]]) if reached.size else None
