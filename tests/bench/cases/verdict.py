"""False verdicts of challengers, and how soon true ones come (STATISTICS sections 10 and 13).

`verdict.false_rate`: 1,000 streams of 10,000 rows in which champion and challenger are equally good, looked at after
every row; the share in which a verdict was ever given. The plain name is the worst case. Labels that arrive by outcome:
the better half of a model's rows is known early; the verdict reads resolved cohorts (rows older than the age by which
95 % of labels are in), and what reading labels as they arrive would say is printed. `verdict.power`: 200 streams with a
Brier difference of .0075 at sd .146; other differences are printed. `verdict.false_rate_clustered`: the same of streams
in which rows belong together, judged by cluster; `verdict.false_rate_unclustered` is what these would give as rows, and
`verdict.power_clustered` how often a difference of .03 is found (`tests.bench.clustered`).

All by the sums and functions of `monitors.betting`, `monitors.clusters` and `monitors.verdict`, over all looks of a
stream at once.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from monitors.betting import bets, log_wealth
from monitors.verdict import ALPHA, LEAST_ROWS, confidence_radius
from tests.bench import clustered
from tests.bench.report import Row

if TYPE_CHECKING:
    from tests.bench.options import Options

STREAMS, RUNS, ROWS = 1_000, 200, 10_000
ALLOWED, POWER = 0.05, 0.95
BRIER_NOISE = 0.0225  # of both models together: sd of d is .146
HOLDOUT = 20_000

Floats = NDArray[np.float64]
Draw = Callable[[Generator, int], Floats]


class Verdict(NamedTuple):
    """The first row at which one was given, None: never; and whether it said that the challenger is better."""

    row: int | None
    better: bool = False


def run(options: Options) -> list[Row]:
    """All cases on all cores."""
    streams, runs = options.scaled(STREAMS, least=50), options.scaled(RUNS, least=20)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        rates = {}
        for name, draw in EQUAL.items():
            found = list(pool.map(partial(first_verdict, draw), range(streams), chunksize=25))
            rates[name] = sum(one.row is not None for one in found) / streams
        naive = list(pool.map(partial(first_verdict, as_labels_arrive), range(runs), chunksize=25))
        print(f"  labels read as they arrive, not by cohorts: {_share(naive):.3f} false verdicts")
        powers = {}
        for name, draw in UNEQUAL.items():
            found = list(pool.map(partial(first_verdict, draw), range(runs), chunksize=25))
            given = sorted(one.row for one in found if one.row is not None and one.better)
            powers[name] = len(given) / runs
            middle = given[len(given) // 2] if given else ROWS
            print(f"  {name}: {powers[name]:.3f} of {runs} decided within {ROWS:,} rows, median {middle:,}")
    worst = Row("verdict.false_rate", max(rates.values()), "of streams", ALLOWED, at_most=True)
    each = [
        Row(f"verdict.false_rate.{name}", rate, "of streams", ALLOWED, at_most=True) for name, rate in rates.items()
    ]
    return [worst, *each, Row("verdict.power", powers[ASKED_POWER], "of runs", POWER), *_by_cluster(streams, runs)]


def _by_cluster(streams: int, runs: int) -> list[Row]:
    """False verdicts where rows belong together, on clusters and on rows, and the power."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        rates, as_rows = {}, {}
        for name, draw in clustered.EQUAL.items():
            found = pool.map(partial(clustered.first_by_cluster, draw, ROWS), range(streams), chunksize=25)
            rates[name] = sum(map(bool, found)) / streams
            plain = pool.map(partial(first_verdict, partial(clustered.only_d, draw)), range(runs), chunksize=25)
            as_rows[name] = _share(list(plain))
            print(f"  {name}: {rates[name]:.3f} false verdicts by cluster, {as_rows[name]:.3f} by row")
        powers = {}
        for name, draw in clustered.UNEQUAL.items():
            first = list(pool.map(partial(clustered.first_by_cluster, draw, ROWS), range(runs), chunksize=25))
            given = sorted(row for row in first if row > 0)
            powers[name] = len(given) / runs
            middle = given[len(given) // 2] if given else ROWS
            print(f"  {name}: {powers[name]:.3f} of {runs} decided within {ROWS:,} rows, median {middle:,}")
    return [
        Row("verdict.false_rate_clustered", max(rates.values()), "of streams", ALLOWED, at_most=True),
        Row("verdict.false_rate_unclustered", max(as_rows.values()), "of runs"),
        Row("verdict.power_clustered", powers[clustered.ASKED_POWER], "of runs", POWER),
    ]


def first_verdict(draw: Draw, seed: int) -> Verdict:
    """The verdict of one stream, looked at after each row: what `judge` would say first, with no margin."""
    d = draw(default_rng(seed), ROWS)
    n = np.arange(1, d.size + 1, dtype=np.float64)
    total, squares = np.cumsum(d), np.cumsum(d * d)
    wealth = log_wealth(np.cumsum(bets(np.clip(d / _scale(draw), -1, 1)), axis=0))
    radius = confidence_radius(n, total, squares)
    better = (wealth[:, 0] >= math.log(2 / ALPHA)) & (total / n - radius > 0)
    worse = (wealth[:, 1] >= math.log(2 / ALPHA)) & (total / n + radius < 0)
    given = np.flatnonzero((better | worse) & (n >= LEAST_ROWS))
    return Verdict(int(given[0]) + 1, bool(better[given[0]])) if given.size else Verdict(None)


def _scale(draw: Draw) -> float:
    """1 where d is in [-1, 1]; else the .999 quantile of its size on rows set apart."""
    return float(np.quantile(abs(draw(default_rng(1 << 20), HOLDOUT)), 0.999)) if draw is squared_t5 else 1.0


def brier(rng: Generator, rows: int, better: float = 0.0) -> Floats:
    """Two models that know P(yes) up to noise; the mean of d is `better`."""
    truth = rng.uniform(0.3, 0.7, rows)
    yes = rng.random(rows) < truth
    sds = math.sqrt((BRIER_NOISE + better) / 2), math.sqrt((BRIER_NOISE - better) / 2)
    champion, challenger = (np.clip(truth + rng.normal(0, sd, rows), 0, 1) for sd in sds)
    return np.asarray((champion - yes) ** 2 - (challenger - yes) ** 2)


def zero_one(rng: Generator, rows: int, better: float = 0.0) -> Floats:
    """They disagree on a fifth of the rows."""
    fate = rng.random(rows)
    return np.where(fate < 0.1 + better / 2, 1.0, np.where(fate < 0.2, -1.0, 0.0))


def squared_t5(rng: Generator, rows: int) -> Floats:
    """Squared errors with heavy tails (Student's t, 5 degrees of freedom)."""
    champion, challenger = rng.standard_t(5, (2, rows))
    return np.asarray(champion**2 - challenger**2)


def catastrophe(rng: Generator, rows: int) -> Floats:
    """A little better nearly always, and a disaster in one row of a thousand."""
    return np.where(rng.random(rows) < 0.001, -0.999, 0.001)


def by_cohorts(rng: Generator, rows: int) -> Floats:
    """Labels whose delay depends on the outcome, read by cohorts of predictions that are old enough."""
    d, delays = _delayed(rng, rows)
    age = np.quantile(delays, 0.95)
    return np.asarray(d[np.argsort(np.arange(rows) + np.maximum(delays, age), kind="stable")])


def as_labels_arrive(rng: Generator, rows: int) -> Floats:
    """The same rows in the order in which their labels arrive."""
    d, delays = _delayed(rng, rows)
    return np.asarray(d[np.argsort(np.arange(rows) + delays, kind="stable")])


def _delayed(rng: Generator, rows: int) -> tuple[Floats, Floats]:
    """The challenger is better where the answer comes early (a cancellation), and as much worse where it comes late."""
    early = rng.random(rows) < 0.5
    d = np.where(early, 0.1, -0.1) + rng.normal(0, 0.1, rows)
    return np.clip(d, -1, 1), rng.exponential(np.where(early, 100, 1_000))


def _brier_better(rng: Generator, rows: int) -> Floats:
    return brier(rng, rows, 0.0075)


def _brier_much_better(rng: Generator, rows: int) -> Floats:
    return brier(rng, rows, 0.022)


def _one_point(rng: Generator, rows: int) -> Floats:
    return zero_one(rng, rows, 0.01)


def _two_points(rng: Generator, rows: int) -> Floats:
    return zero_one(rng, rows, 0.02)


def _share(found: list[Verdict]) -> float:
    return sum(one.row is not None for one in found) / len(found)


ASKED_POWER = "Brier .0075"
EQUAL: dict[str, Draw] = {
    "brier": brier,
    "zero_one": zero_one,
    "squared_t5": squared_t5,
    "catastrophe": catastrophe,
    "delay_by_outcome": by_cohorts,
}
UNEQUAL: dict[str, Draw] = {
    ASKED_POWER: _brier_better,
    "Brier .022": _brier_much_better,
    "0/1 .01": _one_point,
    "0/1 .02": _two_points,
}
