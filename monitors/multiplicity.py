"""How a change rule decides, over many features, bucket after bucket, which evidence is enough (STATISTICS section 4).

Three ways, all on the e-values of `monitors.change`; none assumes anything of the dependence between features:

- `Budget` (default): Shiryaev-Roberts statistic per feature, `M_t = (1 + M_{t-1}) e_t`, enough at `M_t >= F T / budget`
  (F features, T buckets a month). M_t - t is a supermartingale without drift, so at most `budget` false alerts a month
  are expected over all features (Shin, Ramdas, Rinaldo, arXiv 2203.03532).
- `Elond`: the t-th e-value of the stream is a discovery at `e >= 1 / (level g_t (D + 1))`, D discoveries before it, g_t
  summing to at most 1: the false share of all discoveries is at most `level` in expectation (Xu and Ramdas 2024). For a
  report that must state it; it loses power in long quiet streams.
- `BenjaminiHochberg`: per bucket, the k features of most evidence where the k-th `e >= F / (level k)`: that is
  Benjamini-Hochberg with p = 1/e, valid under any dependence (Wang and Ramdas 2022). For lists of what changed; it says
  nothing of false alerts a month.

Features without evidence (NaN) are not looked at. M_t is kept as its logarithm.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitors.change import Reals
from monitors.spans import span_end
from schemas.deployment import DAY_MS, AlertRule, Control, Span

Flags = NDArray[np.bool_]

_MONTH_MS = 30 * DAY_MS
_ELOND = 0.07720838  # makes the levels of LOND sum to 1 (Javanmard and Montanari 2018)


class Decider(Protocol):
    """The state of a way to decide over one stream of buckets."""

    def judge(self, log_e: Reals) -> tuple[Reals, Reals, Flags]:
        """Take in a bucket: what is compared, what it is compared with (both logarithms), and where it is enough."""

    def clear(self, where: Flags) -> None:
        """These features begin anew."""

    def saved(self) -> object:
        """The state, for `restore`."""

    def restore(self, saved: object) -> None:
        """Go back to a state."""


class Budget:
    """Shiryaev-Roberts of `width` features; `level` is what M_t must reach.

    Two buckets such as the example of section 2 (ln e = 7.813) are enough among 200 hourly features, one is not:

    >>> decider = Budget(200, 200 * 720)
    >>> for _ in range(2):
    ...     found, level, enough = decider.judge(np.full(200, 7.813))
    ...     print(found[0].round(3), level[0].round(2), enough[0])
    7.813 11.88 False
    15.626 11.88 True
    """

    def __init__(self, width: int, level: float) -> None:
        self._log_m = np.full(width, -np.inf)
        self._level = np.full(width, math.log(max(level, 1.0)))

    def judge(self, log_e: Reals) -> tuple[Reals, Reals, Flags]:
        seen = ~np.isnan(log_e)
        self._log_m = np.where(seen, np.logaddexp(0.0, self._log_m) + log_e, self._log_m)
        return self._log_m, self._level, seen & (self._log_m >= self._level)

    def clear(self, where: Flags) -> None:
        self._log_m = np.where(where, -np.inf, self._log_m)

    def saved(self) -> object:
        return self._log_m

    def restore(self, saved: object) -> None:
        self._log_m = np.array(saved, np.float64)


class Elond:
    """Discoveries in the order of buckets, within one in the order of features.

    >>> decider = Elond(0.05)
    >>> [decider.judge(np.array([x]))[2].tolist() for x in (5.0, 7.5, 7.0)]  # alone 7.0 is too little there
    [[False], [True], [True]]
    """

    def __init__(self, level: float) -> None:
        self._log_level = math.log(level)
        self._tests = self._found = 0

    def judge(self, log_e: Reals) -> tuple[Reals, Reals, Flags]:
        needed = np.full(log_e.size, np.inf)
        for place in np.flatnonzero(~np.isnan(log_e)).tolist():
            self._tests += 1
            t = max(self._tests, 2)
            share = math.log(_ELOND * math.log(t) / self._tests) - math.sqrt(math.log(t))
            needed[place] = -(self._log_level + share + math.log(self._found + 1))
            self._found += bool(log_e[place] >= needed[place])
        return log_e, needed, log_e >= needed

    def clear(self, where: Flags) -> None:
        """Nothing to clear: the stream of tests goes on."""

    def saved(self) -> object:
        return self._tests, self._found

    def restore(self, saved: object) -> None:
        self._tests, self._found = saved  # type: ignore[misc]  # what `saved` gave


class BenjaminiHochberg:
    """The features that changed in this bucket, at most a share `level` of them falsely in expectation.

    >>> BenjaminiHochberg(0.05).judge(np.log([45.0, 1.0, 50.0, np.nan]))[2].tolist()  # 3 features: 60 alone, 30 both
    [True, False, True, False]
    """

    def __init__(self, level: float) -> None:
        self._log_level = math.log(level)

    def judge(self, log_e: Reals) -> tuple[Reals, Reals, Flags]:
        seen = ~np.isnan(log_e)
        ordered = np.sort(log_e[seen])[::-1]
        ranks = np.arange(1, ordered.size + 1)
        needed = math.log(max(ordered.size, 1)) - self._log_level - np.log(ranks)
        enough = np.flatnonzero(ordered >= needed)
        level = needed[enough[-1]] if enough.size else (needed[0] if needed.size else np.inf)
        return log_e, np.full(log_e.size, level), seen & (log_e >= level)

    def clear(self, where: Flags) -> None:
        """Nothing to clear: each bucket is judged by itself."""

    def saved(self) -> object:
        return None

    def restore(self, saved: object) -> None:
        """Nothing to go back to."""


def decider_of(rule: AlertRule, width: int, bucket: Span) -> Decider:
    """The way that a change rule chose, for all `width` features or one, in buckets of this length."""
    if rule.control is Control.E_LOND:
        return Elond(rule.limit)
    if rule.control is Control.BENJAMINI_HOCHBERG:
        return BenjaminiHochberg(rule.limit)
    watched = width if rule.feature == "*" else 1
    return Budget(width, watched * monthly(bucket) / rule.limit)


def monthly(bucket: Span) -> float:
    """How many buckets a month of 30 days has.

    >>> monthly(Span.HOUR), monthly(Span.MONTH)
    (720.0, 1.0)
    """
    return 1.0 if bucket is Span.MONTH else _MONTH_MS / span_end(0, bucket)
