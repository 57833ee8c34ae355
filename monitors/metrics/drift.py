"""What all drift statistics share: from counts per frozen bin to an effect that does not depend on the number of rows.

Two samples of one distribution are never alike: without drift every statistic is above 0, by an amount that shrinks as
rows grow. So the value of a drift metric is the corrected effect D: what is left after that amount is taken off
(STATISTICS sections 2 and 3). It may be below 0. Rules:

- A divergence (PSI, KL) is about `x = c (1/n + 1/N)` without drift, and drift adds to it: `D = x - E[x]`.
- A distance (Jensen-Shannon, Hellinger, total variation, Kolmogorov-Smirnov, Wasserstein) is of the order of a square
  root; what adds up is its square. There `D = sign(x - E[x]) sqrt(|x - E[x]|)` with x the squared distance: taking a
  mean distance off the distance itself would call a true 0.12 (Jensen-Shannon) 0.08 at n = 500, and 0.12 at n = 50,000.
- Interval: D of `x +- 1.96 se`, `se^2` = the delta method's variance away from 0, plus the variance without drift.
- Mean and sd without drift are those of the package's noise table where it has one, else of the statistic's theory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from monitors.bins import bin_count, pooled_bins
from monitors.metrics import targets
from monitors.metrics.intervals import Z
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Counts, Summary
from schemas.deployment import DriftStatistic, Limits
from schemas.observation import Kind, Reason
from schemas.package import Bins, Clipped, Noise, NumericBins, Package, TargetType

Reals = NDArray[np.float64]
FEATURE, PREDICTION, CLIPPED = "feature:{}", "prediction", "clipped:{}"

_TERM = float(1 << 32)


@dataclass(frozen=True, slots=True)
class Values:
    """Where the bins of a number lie, for statistics that need more than their order.

    All are distances above the least clipped value, in units of `schemas.package.Clipped`: `ends` the bins' edges,
    `before` and `now` the sums in each bin (last axis, `missing` left out), `sd` the baseline's standard deviation.
    """

    ends: Reals
    before: Reals
    now: Reals
    sd: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Baseline and window: rows per bin on the last axis, `missing` the last bin; other axes are repetitions."""

    before: Counts
    now: Counts
    values: Values | None = None

    @property
    def noise(self) -> Reals:
        """1/n + 1/N, n rows in the window and N in the baseline."""
        return np.asarray(1 / self.before.sum(-1) + 1 / self.now.sum(-1))

    def shares(self) -> tuple[Reals, Reals]:
        """Raw shares of baseline and window."""
        return self.before / self.before.sum(-1, keepdims=True), self.now / self.now.sum(-1, keepdims=True)

    def smoothed(self) -> tuple[Reals, Reals]:
        """Shares with half a pseudo-count per bin, shared as the baseline is: for statistics with a logarithm."""
        half = self.before.shape[-1] / 2
        p = (self.before + 0.5) / (self.before.sum(-1, keepdims=True) + half)
        return p, (self.now + half * p) / (self.now.sum(-1, keepdims=True) + half)

    def present(self) -> Pair:
        """The same without missing rows."""
        return Pair(self.before[..., :-1], self.now[..., :-1], self.values)

    def freedom(self) -> Reals:
        """Degrees of freedom without drift: bins that the baseline fills, less one."""
        return np.asarray(np.maximum(np.count_nonzero(self.before, axis=-1) - 1.0, 0.0), np.float64)

    def variance(self, by_baseline: Reals, by_window: Reals) -> Reals:
        """Of a function with these derivatives by the shares of baseline and window: the delta method."""
        p, q = self.shares()
        by_each = variance(p, by_baseline) / self.before.sum(-1), variance(q, by_window) / self.now.sum(-1)
        return np.asarray(by_each[0] + by_each[1], np.float64)


def variance(shares: Reals, derivatives: Reals) -> Reals:
    """Of the derivative at a random row."""
    mean = (shares * derivatives).sum(-1)
    spread: Reals = np.maximum((shares * derivatives * derivatives).sum(-1) - mean * mean, 0.0)
    return spread


@dataclass(frozen=True, slots=True)
class Effect:
    """A statistic as it is, the corrected effect D, and a 95 % interval of it; one number for each repetition."""

    plug_in: Reals
    corrected: Reals
    low: Reals
    high: Reals


@dataclass(frozen=True, slots=True)
class Statistic:
    """One drift statistic.

    `measure(pair)` is x: the statistic, of a distance its square. `variance(pair)` is x's sampling variance away from
    0, `null(pair)` its mean and variance without drift. An `ordered` one needs numbers and leaves missing rows out; one
    `of_values` needs the sums of values as well. Both sums of a pair are above 0.
    """

    name: DriftStatistic
    limits: Limits
    measure: Callable[[Pair], Reals]
    variance: Callable[[Pair], Reals]
    null: Callable[[Pair], tuple[Reals, Reals]]
    is_distance: bool = False
    ordered: bool = False
    of_values: bool = False

    def effect(self, pair: Pair, noise: Noise | None = None) -> Effect:
        """The effect of a pair (with all its rows, missing ones too)."""
        seen = pair.present() if self.ordered else pair
        x = self.measure(seen)
        law = None if noise is None else noise.laws.get(self.name)
        if noise is None or law is None:
            mean, spread = self.null(seen)
        else:
            rows = pair.now.sum(-1)
            mean = _at(noise, law.mean, rows) * pair.noise
            spread = (_at(noise, law.sd, rows) * pair.noise) ** 2
        reach = Z * np.sqrt(self.variance(seen) + spread)
        return Effect(*(self.on_scale(each) for each in (x, x - mean, x - mean - reach, x - mean + reach)))

    def on_scale(self, x: Reals) -> Reals:
        """x as the statistic is read: the root of a squared distance, with its sign."""
        return np.sign(x) * np.sqrt(np.abs(x)) if self.is_distance else np.asarray(x)


def quiet_limits(statistic: Statistic, bins: Bins | None, noise: Noise | None, rows: int) -> Limits:
    """What D passes without drift in 1 % and in 0.1 % of windows of so many rows; 0 where there is no noise table."""
    law = None if noise is None else noise.laws.get(statistic.name)
    if bins is None or noise is None or law is None or rows <= 0:
        return Limits(0.0, 0.0)
    asked, both = np.asarray(rows), 1 / rows + 1 / sum(bins.counts)
    mean = _at(noise, law.mean, asked)
    first, second = (statistic.on_scale((_at(noise, each, asked) - mean) * both) for each in (law.q99, law.q999))
    return Limits(float(first), float(second))


def _at(noise: Noise, numbers: tuple[float, ...], rows: NDArray[np.integer]) -> Reals:
    """A column of the noise table at any number of rows: straight between its sizes in 1/n."""
    return np.asarray(np.interp(1 / rows, 1 / np.array(noise.rows[::-1], np.float64), numbers[::-1]))


def drift_value(statistic: Statistic, pair: Pair, noise: Noise | None = None) -> Value:
    """The corrected effect of one window, or why there is none.

    A warning comes with it where the window is all missing, or the baseline has one value only.
    """
    rows = int(pair.now.sum())
    if reason := no_pair(pair, ordered=statistic.ordered):
        return Value(None, n=rows, reason=reason)
    constant = np.count_nonzero(pair.before) == 1
    if statistic.of_values and (pair.values is None or not pair.values.sd > 0):
        return Value(None, n=rows, reason=Reason.CONSTANT_BASELINE if constant else Reason.NO_BASELINE)
    found = statistic.effect(pair, noise)
    warning = Reason.CONSTANT_BASELINE if constant else None
    if int(pair.now[-1]) == rows:
        warning = Reason.ALL_MISSING
    return Value(float(found.corrected), float(found.low), float(found.high), rows, reason=warning)


def no_pair(pair: Pair, *, ordered: bool = False) -> Reason | None:
    """Why there is nothing to compare: no rows, or (where order matters) none with a number."""
    if not pair.now.any():
        return Reason.EMPTY
    if not (pair.before[:-1] if ordered else pair.before).any():
        return Reason.NO_BASELINE
    return Reason.ALL_MISSING if ordered and not pair.now[:-1].any() else None


def metrics_of_statistic(statistic: Statistic) -> tuple[Metric, ...]:
    """The metrics of a statistic with a corrected effect and a status: of each feature, and of the predictions."""
    return metrics_of_pairs(
        statistic.name.value,
        statistic.name,
        partial(drift_value, statistic),
        limits=statistic.limits,
        quiet=partial(quiet_limits, statistic),
        ordered=statistic.ordered,
        of_values=statistic.of_values,
    )


def metrics_of_pairs(
    name: str,
    statistic: DriftStatistic,
    value_of: Callable[[Pair, Noise | None], Value],
    *,
    limits: Limits | None = None,
    quiet: Callable[[Bins | None, Noise | None, int], Limits] | None = None,
    ordered: bool = False,
    of_values: bool = False,
) -> tuple[Metric, ...]:
    """The metrics `name`, of each feature, and `prediction_<name>`; of sums of values there are only the features'."""

    def of_feature(summary: Summary, package: Package, feature: str) -> Value:
        bins = package.baseline.features.get(feature)
        if bins is None:
            return Value(None, n=max(summary.count(FEATURE.format(feature)), 0), reason=Reason.NO_BASELINE)
        if ordered and not isinstance(bins, NumericBins):
            return Value(None, reason=Reason.NOT_APPLICABLE)
        return value_of(pair_of_feature(bins, summary, feature), package.baseline.noise.get(feature))

    def of_predictions(summary: Summary, package: Package, feature: str = "") -> Value:
        del feature
        bins = package.baseline.prediction
        if bins is None:
            return Value(None, n=max(summary.count(PREDICTION), 0), reason=Reason.NO_BASELINE)
        pair = _pair_of_predictions(bins, summary, package, pool=not ordered)
        return value_of(pair, package.baseline.prediction_noise)

    def quiet_of_feature(package: Package, feature: str, rows: int) -> Limits:
        baseline = package.baseline
        return quiet(baseline.features.get(feature), baseline.noise.get(feature), rows) if quiet else Limits(0.0, 0.0)

    def quiet_of_predictions(package: Package, feature: str, rows: int) -> Limits:
        del feature
        baseline = package.baseline
        return quiet(baseline.prediction, baseline.prediction_noise, rows) if quiet else Limits(0.0, 0.0)

    found = Metric(
        name,
        Kind.FEATURES,
        targets.always,
        of_feature,
        per_feature=True,
        drift=statistic,
        limits=limits,
        quiet=None if quiet is None else quiet_of_feature,
    )
    if of_values:
        return (found,)
    said = Metric(
        f"prediction_{name}",
        Kind.PREDICTIONS,
        _is_ordered if ordered else targets.always,
        of_predictions,
        drift=statistic,
        limits=limits,
        quiet=None if quiet is None else quiet_of_predictions,
    )
    return found, said


def _is_ordered(package: Package) -> bool:
    return package.target.type is not TargetType.MULTICLASS


def pair_of(bins: Bins, window: Counts) -> Pair:
    """Baseline and window; counts below zero (a retraction that was read before what it retracts) count as none."""
    return Pair(np.array(bins.counts, np.int64), np.maximum(window, 0))


def pair_of_feature(bins: Bins, summary: Summary, feature: str) -> Pair:
    """What a summary of inputs holds of one feature, beside its baseline."""
    pair = pair_of(bins, summary.vector(FEATURE.format(feature), bin_count(bins)))
    if not isinstance(bins, NumericBins) or bins.clipped is None or not bins.edges:
        return pair
    sums = summary.vector(CLIPPED.format(feature), len(bins.edges) + 1)
    return Pair(pair.before, pair.now, values_of(bins, bins.clipped, sums))


def values_of(bins: NumericBins, clipped: Clipped, sums: Counts) -> Values:
    """Edges, and sums of terms, as distances."""
    ends = (np.clip(np.array(bins.edges), clipped.low, clipped.high) - clipped.low) / clipped.unit
    return Values(ends, np.array(clipped.sums) / _TERM, sums / _TERM, clipped.sd / clipped.unit)


def _pair_of_predictions(bins: Bins, summary: Summary, package: Package, *, pool: bool) -> Pair:
    """The 258 bins of a probability are pooled into about ten by the baseline's mass.

    The bands of the index belong to about ten bins: unpooled, at n = 1,000 the noise to take off (0.26) is more than
    the failing threshold.
    """
    pair = pair_of(bins, summary.vector(PREDICTION, bin_count(bins)))
    return pooled(bins, pair) if pool and isinstance(bins, NumericBins) and targets.binary(package) else pair


def pooled(bins: NumericBins, pair: Pair) -> Pair:
    """A pair of these bins in about ten wider ones."""
    wide = pooled_bins(bins)
    starts = np.flatnonzero(np.diff(wide, prepend=-1))  # what is pooled lies side by side

    def added(counts: Counts) -> Counts:
        found = np.zeros((*counts.shape[:-1], int(wide.max()) + 1), np.int64)
        found[..., wide[starts]] = np.add.reduceat(counts, starts, axis=-1)
        return found

    return Pair(added(pair.before), added(pair.now))
