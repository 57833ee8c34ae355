"""How often 5 % of a stream and all of it say opposite things of its drift (STATISTICS section 3), for each statistic.

In each cell a baseline of 50,000 rows, a window, and 5 % of the window's rows are drawn 4,000 times. Normal data on
deciles; the shift is what gives the true PSI. Two statuses contradict each other where they differ, both are known, and
neither is borderline. The worst cell is the value; the cells of PSI are printed. `status.same` is the smallest share of
pairs with one and the same status, among the cells of PSI with 1,000 rows and more in the smaller window whose true PSI
is not within 40 % of a threshold.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monitors.metrics import STATISTICS
from monitors.metrics.drift import Pair, Values
from monitors.metrics.protocol import Value
from monitors.metrics.status import drift_status
from schemas.observation import Status
from tests.bench.report import Row

if TYPE_CHECKING:
    from monitors.metrics.drift import Statistic
    from schemas.deployment import Limits
    from tests.bench.options import Options

PAIRS = 4_000
BASELINE = 50_000
SIZES = (4_000, 20_000, 100_000)
TRUE_PSI = (0.0, 0.059, 0.123, 0.151, 0.284, 0.458)
SHARE = 20
ASKED = 0.01
ASKED_SAME = 0.98
ENOUGH_ROWS = 1_000
NEAR = 0.4
"""How near to a threshold, as a share of it, the true PSI may make either status right."""

_PARTS = 20
"""A decile is drawn as so many values, so that its sum varies as it does in a stream."""

Shares = NDArray[np.float64]
Rows = NDArray[np.int64]


def run(options: Options) -> list[Row]:
    """All cells of all statistics, from one seed."""
    rng, draws = np.random.default_rng(0), options.scaled(PAIRS, least=200)
    worst = dict.fromkeys(STATISTICS, 0.0)
    grid, same = _grid(), 1.0
    for size, psi in product(SIZES, TRUE_PSI):
        shares = _shifted(grid, psi)
        before, few = rng.multinomial(BASELINE, _even(), draws), rng.multinomial(size // SHARE, shares, draws)
        full = few + rng.multinomial(size - size // SHARE, shares, draws)
        for name, statistic in STATISTICS.items():
            outcome = _compared(statistic, _pair(grid, before, full), _pair(grid, before, few))
            worst[name] = max(worst[name], outcome["contradict"])
            if name == "psi":
                shown = ", ".join(f"{word} {share:.3f}" for word, share in outcome.items())
                print(f"  {size:,} / {size // SHARE:,} rows, PSI {psi}: {shown}", flush=True)
                if size // SHARE >= ENOUGH_ROWS and _is_clear(psi, statistic.limits):
                    same = min(same, outcome["same"])
    cases = [
        Row(f"status.contradictions.{name}", share, "of pairs", ASKED, at_most=True) for name, share in worst.items()
    ]
    return [
        Row("status.contradictions", max(worst.values()), "of pairs", ASKED, at_most=True),
        *cases,
        Row("status.same", same, "of pairs", ASKED_SAME),
    ]


def _is_clear(psi: float, limits: Limits) -> bool:
    return all(abs(psi - limit) > NEAR * limit for limit in (limits.at_risk, limits.failing))


def _even() -> Shares:
    return np.full(10 * _PARTS, 0.1 / _PARTS)


def _grid() -> Shares:
    """The values of a normal law that stand for equal shares of it."""
    middle = (np.arange(10 * _PARTS) + 0.5) / (10 * _PARTS)
    wide = np.linspace(-6, 6, 200_001)
    density = np.exp(-wide * wide / 2)
    return np.interp(middle, np.cumsum(density) / density.sum(), wide)


def _shifted(grid: Shares, psi: float) -> Shares:
    """The shares of these values after the shift that gives this PSI on deciles."""
    low, high = 0.0, 2.0
    for _ in range(60):
        shift = (low + high) / 2
        deciles = _moved(grid, shift).reshape(10, _PARTS).sum(axis=1)
        found = float(((deciles - 0.1) * np.log(deciles / 0.1)).sum())
        low, high = (shift, high) if found < psi else (low, shift)
    return _moved(grid, low)


def _moved(grid: Shares, shift: float) -> Shares:
    weights = np.exp(grid * shift - shift * shift / 2)  # of one normal law by the other
    return np.asarray(weights / weights.sum())


def _pair(grid: Shares, before: Rows, now: Rows) -> Pair:
    """Deciles of both, with their sums, between `below` and `above`, which have no rows, and `missing`."""
    places = grid.reshape(10, _PARTS)
    ends = np.array([places[0, 0], *((places[1:, 0] + places[:-1, -1]) / 2), places[-1, -1]]) - grid[0]
    tables = [rows.reshape(-1, 10, _PARTS) for rows in (before, now)]
    counts = [np.pad(table.sum(axis=2), ((0, 0), (1, 2))) for table in tables]
    sums = [np.pad((table * (places - grid[0])).sum(axis=2), ((0, 0), (1, 1))) for table in tables]
    return Pair(counts[0], counts[1], Values(ends, sums[0], sums[1], float(grid.std())))


def _compared(statistic: Statistic, full: Pair, few: Pair) -> dict[str, float]:
    """Shares of pairs whose statuses are the same, unknown for few rows, different with one borderline, opposite."""
    words = ("same", "unknown", "borderline", "contradict")
    found = dict.fromkeys(words, 0)
    judged = [_statuses(statistic, pair) for pair in (full, few)]
    for (one, one_near), (other, other_near) in zip(*judged, strict=True):
        if one is other:
            found["same"] += 1
        elif Status.UNKNOWN in (one, other):
            found["unknown"] += 1
        else:
            found["borderline" if one_near or other_near else "contradict"] += 1
    return {word: count / len(judged[0]) for word, count in found.items()}


def _statuses(statistic: Statistic, pair: Pair) -> list[tuple[Status, bool]]:
    effect, rows = statistic.effect(pair), int(pair.now[0].sum())
    values = zip(effect.corrected.tolist(), effect.low.tolist(), effect.high.tolist(), strict=True)
    judged = [drift_status(Value(*value, n=rows), statistic.limits) for value in values]
    return [(one.status, one.borderline) for one in judged]
