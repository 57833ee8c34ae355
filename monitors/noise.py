"""What drift statistics are without drift: a bootstrap of each feature's baseline, frozen in the package.

Theory knows the noise of a divergence where every bin has rows; not where a bin expects less than one (20 Zipf
categories at n = 300: mean PSI 0.0744, theory 0.0677), and only roughly that of a distance. So each table is drawn:
2,000 pairs of a baseline of N and a window of n rows, n from 100 to 100,000 (STATISTICS section 2). Two kinds:

- without a time column both are drawn from the training shares (multinomial);
- with one, a window is a stretch of n rows in time order, compared with all other rows: real streams wander more than
  coins do. Stretches of more than a third of the training rows say nothing new; sizes end there.

A feature that wandered too much to have a tolerance (`monitors.tolerance`) has its quantiles, which calibrate
thresholds, from stretches, and its mean and sd from counts: its stretches are drift already. With their mean taken off,
and their sd as noise, no drift could surely be seen of it any more, and the material rule is all that watches it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray

from monitors.bins import bin_count, bin_rows, numbers
from monitors.clipping import clipped_terms
from monitors.metrics import STATISTICS
from monitors.metrics.drift import Pair, Reals, Statistic, Values, pooled, values_of
from monitors.summary import Counts
from monitors.tolerance import STEADIEST, tolerance_of
from schemas.deployment import DriftStatistic
from schemas.package import Baseline, Bins, Noise, NullLaw, NumericBins, Target, TargetType

Number = TypeVar("Number", np.int64, np.float64)

SIZES = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
DRAWS = 2_000
STRIDE = 100
"""Rows; stretches start at multiples of it, and every size is one."""

_LEAST_PARTS = 3
_MOST_TABLES = 500
_QUANTILES = (0.95, 0.99, 0.999)
_STEPS = float(1 << 32)
_NO_ROWS = np.zeros(0, np.intp)


@dataclass(frozen=True, slots=True)
class _Column:
    """A training column in bins: position of each row and, of a number, the distance that its term stands for."""

    bins: Bins
    rows: NDArray[np.intp]
    distances: Reals | None

    @classmethod
    def of(cls, bins: Bins, column: pl.Series) -> _Column:
        if not isinstance(bins, NumericBins) or bins.clipped is None or not bins.clipped.sd > 0:
            return cls(bins, bin_rows(bins, column), None)
        return cls(bins, bin_rows(bins, column), clipped_terms(bins.clipped, numbers(column)) / _STEPS)

    def per_bin(self, values: Reals) -> Reals:
        """Sums over the rows of each bin, `missing` left out."""
        return np.asarray(np.bincount(self.rows, values, minlength=bin_count(self.bins))[:-1], np.float64)

    def values(self, before: Reals | None, now: Reals | None) -> Values | None:
        if before is None or now is None or not isinstance(self.bins, NumericBins) or self.bins.clipped is None:
            return None
        known = values_of(self.bins, self.bins.clipped, np.zeros(before.shape[-1], np.int64))
        return Values(known.ends, before, now, known.sd)


def with_noise(
    baseline: Baseline, training: pl.DataFrame, rng: np.random.Generator, times: pl.Series | None = None
) -> Baseline:
    """The baseline with noise tables and tolerances, from the training rows that it was made of.

    `times`: anything that sorts, one for each row; without it windows are taken to wander as counts do, and the
    tolerance is the default. The tables of the first 500 features are kept, so that a package stays a record.
    """
    rows = training if times is None else training[times.arg_sort().to_numpy()]
    noise: dict[str, Noise] = {}
    steady: dict[str, float] = {}
    for place, (name, bins) in enumerate(baseline.features.items()):
        found = STEADIEST if times is None else tolerance_of(bins, rows[name])
        if found is not None:
            steady[name] = found
        if place < _MOST_TABLES:
            ordered = times is not None
            table = noise_table(bins, rows[name], rng, in_time_order=ordered, is_unstable=found is None)
            if table is not None:
                noise[name] = table
    return replace(baseline, noise=noise, tolerance=steady)


def with_answer_noise(baseline: Baseline, target: Target, rng: np.random.Generator) -> Baseline:
    """The baseline with the noise of predictions and of actuals, from their counts on holdout: its rows have no order.

    Statistics that pool the fine bins of a probability have the noise of the pooled ones.
    """
    said, came_true = baseline.prediction, baseline.target
    of_said = of_true = None
    if said is not None and any(said.counts):
        if isinstance(said, NumericBins) and target.type is TargetType.BINARY:
            of_said = _of_scores(said, rng)
        else:
            of_said = _table(_counted(said, rng), _fitting(said))
    if came_true is not None and any(came_true.counts):
        of_true = _table(_counted(came_true, rng), [STATISTICS[DriftStatistic.PSI]])
    return replace(baseline, prediction_noise=of_said, target_noise=of_true)


def _of_scores(bins: NumericBins, rng: np.random.Generator) -> Noise:
    fine = _table(_counted(bins, rng), [one for one in STATISTICS.values() if one.ordered])
    wide = ((size, pooled(bins, pair)) for size, pair in _counted(bins, rng))
    laws = _table(wide, [one for one in STATISTICS.values() if not one.ordered]).laws
    return replace(fine, laws=fine.laws | laws)


def _counted(bins: Bins, rng: np.random.Generator) -> Iterator[tuple[int, Pair]]:
    return _drawn(_Column(bins, _NO_ROWS, None), rng)


def noise_table(
    bins: Bins, column: pl.Series, rng: np.random.Generator, *, in_time_order: bool = False, is_unstable: bool = False
) -> Noise | None:
    """The noise table of a feature from its training rows; None where there are none.

    `in_time_order`: the rows are sorted by time, and stretches of them are the windows; for the quantiles only where
    the feature `is_unstable`.
    """
    if not len(column):
        return None
    known = _Column.of(bins, column)
    wanted = _fitting(bins)
    if not in_time_order or len(column) < _LEAST_PARTS * SIZES[0]:
        return _table(_drawn(known, rng), wanted)
    table = _table(_stretches(known, rng), wanted)
    if not is_unstable:
        return table
    counted = _table(islice(_drawn(known, rng), len(table.rows)), wanted).laws
    laws = {
        name: replace(law, mean=counted[name].mean, sd=counted[name].sd)
        for name, law in table.laws.items()
        if name in counted
    }
    return replace(table, laws=laws)


def _fitting(bins: Bins) -> list[Statistic]:
    """Those that go by the order of bins are of numbers."""
    return [one for one in STATISTICS.values() if isinstance(bins, NumericBins) or not one.ordered]


def _table(pairs: Iterable[tuple[int, Pair]], wanted: Iterable[Statistic]) -> Noise:
    """The laws of those of the statistics that every pair has, by its number of rows."""
    asked = tuple(wanted)
    sizes: list[int] = []
    columns: dict[str, list[tuple[float, ...]]] = {}
    for size, pair in pairs:
        sizes.append(size)
        for name, row in _laws(pair, asked).items():
            columns.setdefault(name, []).append(row)
    laws = {name: NullLaw(*zip(*rows, strict=True)) for name, rows in columns.items() if len(rows) == len(sizes)}
    return Noise(tuple(sizes), laws)


def _laws(pair: Pair, wanted: Iterable[Statistic]) -> dict[str, tuple[float, ...]]:
    """Mean, sd and quantiles of each statistic that the pair allows and every draw has, divided by 1/n + 1/N."""
    found = {}
    for statistic in wanted:
        if statistic.of_values and pair.values is None:
            continue
        with np.errstate(divide="ignore", invalid="ignore"):  # a small window may be all missing
            x = statistic.measure(pair.present() if statistic.ordered else pair) / pair.noise
        if np.isfinite(x).all():
            drawn = (x.mean(), x.std(), *np.quantile(x, _QUANTILES))
            found[statistic.name.value] = tuple(float(f"{number:.4g}") for number in drawn)
    return found


def _drawn(column: _Column, rng: np.random.Generator) -> Iterator[tuple[int, Pair]]:
    """Pairs of samples from the training shares; the values within a bin are nearly normal in their sum."""
    counts = np.array(column.bins.counts, np.int64)
    rows = int(counts.sum())
    before = rng.multinomial(rows, counts / rows, DRAWS)
    middle = spread = None
    if column.distances is not None:
        filled = np.maximum(counts[:-1], 1)
        middle = column.per_bin(column.distances) / filled
        spread = np.sqrt(np.maximum(column.per_bin(column.distances**2) / filled - middle**2, 0.0))

    def sums(drawn: Counts) -> Reals | None:
        if middle is None or spread is None:
            return None
        of = drawn[:, :-1]
        return np.asarray(of * middle + np.sqrt(of) * spread * rng.standard_normal(of.shape))

    before_sums = sums(before)
    for size in SIZES:
        now = rng.multinomial(size, counts / rows, DRAWS)
        yield size, Pair(before, now, column.values(before_sums, sums(now)))


def _stretches(column: _Column, rng: np.random.Generator) -> Iterator[tuple[int, Pair]]:
    """Pairs of a stretch of rows and all the other rows."""
    blocks, width = column.rows.size // STRIDE, bin_count(column.bins)
    kept = blocks * STRIDE
    index = np.repeat(np.arange(blocks), STRIDE) * width + column.rows[:kept]
    counted = _cumulated(np.bincount(index, minlength=blocks * width).astype(np.int64).reshape(blocks, width))
    summed = None
    if column.distances is not None:
        sums = np.bincount(index, column.distances[:kept], minlength=blocks * width).astype(np.float64)
        summed = _cumulated(sums.reshape(blocks, width)[:, :-1])
    for size in SIZES:
        length = size // STRIDE
        if length * _LEAST_PARTS > blocks:
            return
        starts = rng.integers(0, blocks - length + 1, DRAWS)
        now = counted[starts + length] - counted[starts]
        now_sums = None if summed is None else summed[starts + length] - summed[starts]
        before_sums = None if summed is None or now_sums is None else summed[-1] - now_sums
        yield size, Pair(counted[-1] - now, now, column.values(before_sums, now_sums))


def _cumulated(table: NDArray[Number]) -> NDArray[Number]:
    return np.concatenate([np.zeros((1, table.shape[1]), table.dtype), np.cumsum(table, axis=0, dtype=table.dtype)])
