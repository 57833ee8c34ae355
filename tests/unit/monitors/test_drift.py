"""Drift statistics against independent judges, the bounds that binning costs, and laws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from math import isfinite

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy import special, stats
from scipy.spatial.distance import jensenshannon

from monitors.baseline import feature_bins
from monitors.bins import numeric_bins
from monitors.clipping import clipped_terms, with_clipped
from monitors.folds import fold_features
from monitors.metrics import METRICS, STATISTICS, chi_squared, kolmogorov_smirnov
from monitors.metrics.drift import Pair, Statistic, Values, drift_value, values_of
from monitors.noise import with_noise
from monitors.summary import Summary
from schemas.deployment import DriftStatistic, Span
from schemas.observation import Reason
from schemas.package import Baseline, Feature, FeatureType, NumericBins, Package, Target, TargetType
from tests.unit.monitors.fold_frames import package

Reals = NDArray[np.float64]
Draw = Callable[[np.random.Generator, float], Reals]

COUNTS = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=2, max_size=20)
ROWS = 20_000
WORLDS: dict[str, Draw] = {
    "normal": lambda rng, shift: rng.normal(shift, 1, ROWS),
    "lognormal": lambda rng, shift: rng.lognormal(shift, 1, ROWS),
    "heavy-tailed": lambda rng, shift: rng.standard_cauchy(ROWS) + shift,
    "discrete": lambda rng, shift: rng.poisson(3 + shift, ROWS).astype(float),
    "mixed": lambda rng, shift: np.where(rng.random(ROWS) < 0.4 - shift / 5, 0.0, rng.gamma(2, 3 + shift, ROWS)),
}


def pair(counts: list[tuple[int, int]]) -> Pair:
    before, now = zip(*counts, strict=True)
    return Pair(np.array(before), np.array(now))


def binned(training: Reals, live: Reals) -> Pair:
    bins = with_clipped(numeric_bins(training), training)
    clipped = bins.clipped
    assert clipped is not None
    places, width = np.searchsorted(bins.edges, live), len(bins.edges) + 1
    now = np.append(np.bincount(places, minlength=width), 0)
    sums = np.bincount(places, clipped_terms(clipped, live), minlength=width).astype(np.int64)
    return Pair(np.array(bins.counts), now, values_of(bins, clipped, sums))


def plug_in(name: str, of: Pair) -> float:
    return float(STATISTICS[name].effect(of).plug_in)


@given(COUNTS)
def test_statistics_that_are_exact_agree_with_scipy(counts: list[tuple[int, int]]) -> None:
    of = pair(counts)
    assume(of.before.any() and of.now.any())
    p, q = of.before / of.before.sum(), of.now / of.now.sum()
    assert plug_in("jensen_shannon", of) == pytest.approx(float(jensenshannon(p, q, base=2)), rel=1e-9, abs=1e-7)
    assert plug_in("hellinger", of) == pytest.approx(np.linalg.norm(np.sqrt(p) - np.sqrt(q)) / np.sqrt(2), rel=1e-9)
    assert plug_in("total_variation", of) == pytest.approx(np.abs(p - q).sum() / 2, rel=1e-9, abs=1e-12)
    half = of.before.size / 2
    smooth = (of.before + 0.5) / (of.before.sum() + half)
    window = (of.now + half * smooth) / (of.now.sum() + half)
    assert plug_in("kl", of) == pytest.approx(float(stats.entropy(window, smooth)), rel=1e-9, abs=1e-12)
    both = stats.entropy(window, smooth) + stats.entropy(smooth, window)
    assert plug_in("psi", of) == pytest.approx(float(both), rel=1e-9, abs=1e-12)


@given(COUNTS)
def test_chi_squared_is_that_of_scipy(counts: list[tuple[int, int]]) -> None:
    of = pair(counts)
    assume(of.before.any() and of.now.any())
    table = np.stack([of.before, of.now])
    table = table[:, table.any(axis=0)]
    judge = stats.chi2_contingency(table, correction=False)
    value, p_value = chi_squared.statistic(of).value, chi_squared.p_value(of).value
    assert value == pytest.approx(judge.statistic, rel=1e-9, abs=1e-9)
    rare = judge.expected_freq.min(axis=0) < 5
    if rare.sum() > 1:
        table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    expected = stats.chi2_contingency(table, correction=False).pvalue
    assert p_value == pytest.approx(expected, rel=1e-9, abs=1e-300)


@given(COUNTS)
@settings(deadline=None)
def test_kolmogorov_smirnov_is_that_of_scipy_on_the_bins(counts: list[tuple[int, int]]) -> None:
    of = pair(counts)
    assume(of.before[:-1].any() and of.now[:-1].any())
    places = np.arange(of.before.size - 1)
    judge = stats.ks_2samp(np.repeat(places, of.before[:-1]), np.repeat(places, of.now[:-1]), method="asymp")
    assert plug_in("kolmogorov_smirnov", of) == pytest.approx(judge.statistic, rel=1e-9, abs=1e-12)
    rows = [of.before[:-1].sum(), of.now[:-1].sum()]
    scaled = judge.statistic * np.sqrt(rows[0] * rows[1] / sum(rows))
    found = kolmogorov_smirnov.p_value(of).value
    assert found == pytest.approx(float(special.kolmogorov(scaled)), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("shift", [0.0, 0.25, 1.0])
def test_binned_kolmogorov_smirnov_is_short_of_the_exact_one_by_at_most_a_bin(world: str, shift: float) -> None:
    rng = np.random.default_rng(1)
    training, live = WORLDS[world](rng, 0.0), WORLDS[world](rng, shift)
    of = binned(training, live)
    exact, found = float(stats.ks_2samp(training, live).statistic), plug_in("kolmogorov_smirnov", of)
    p, q = of.shares()
    assert found <= exact + 1e-12
    assert exact - found <= max(p.max(), q.max())
    assert exact - found <= (1e-12 if world == "discrete" else 0.01)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("shift", [0.0, 0.25, 1.0])
def test_binned_wasserstein_is_at_most_the_clipped_one_and_near_it(world: str, shift: float) -> None:
    rng = np.random.default_rng(2)
    training, live = WORLDS[world](rng, 0.0), WORLDS[world](rng, shift)
    low, high = np.quantile(training, [0.01, 0.99], method="inverted_cdf")
    clipped = np.clip(training, low, high)
    exact = stats.wasserstein_distance(clipped, np.clip(live, low, high)) / clipped.std()
    found = plug_in("wasserstein", binned(training, live))
    assert found <= exact + 1e-6
    if shift:
        assert found == pytest.approx(exact, rel={"heavy-tailed": 0.3, "mixed": 0.01}.get(world, 1e-3))


@given(COUNTS, st.data())
def test_merged_bins_are_no_further_apart_than_finer_ones(counts: list[tuple[int, int]], data: st.DataObject) -> None:
    of = pair([(before * 10**12, now * 10**12) for before, now in counts])  # smoothing is nothing at such numbers
    assume(of.before.any() and of.now.any())
    place = data.draw(st.integers(0, len(counts) - 2))
    starts = np.delete(np.arange(len(counts)), place + 1)
    merged = Pair(np.add.reduceat(of.before, starts), np.add.reduceat(of.now, starts))
    smoothed = {"psi", "kl"}  # what is added to an empty bin depends on the number of bins
    whole = of.before.all() and of.now.all()
    for name, statistic in STATISTICS.items():
        if not statistic.ordered and (whole or name not in smoothed):
            fine, wide = plug_in(name, of), plug_in(name, merged)
            assert wide <= fine * (1 + 1e-9) + 1e-6


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=80), st.lists(st.floats(-60, 60), min_size=1, max_size=80))
@settings(deadline=None)
def test_a_monotone_transformation_changes_no_statistic_of_ranks(training: list[float], live: list[float]) -> None:
    before, now = np.round(np.array(training), 3), np.round(np.array(live), 3)

    def seen(column: Reals, window: Reals) -> Pair:
        bins = numeric_bins(column)
        places = np.searchsorted(bins.edges, window)
        return Pair(np.array(bins.counts), np.bincount(places, minlength=len(bins.counts)))

    plain, other = seen(before, now), seen(np.arcsinh(before) * 3 + 7, np.arcsinh(now) * 3 + 7)
    for name, statistic in STATISTICS.items():
        if not statistic.of_values:
            assert plug_in(name, plain) == plug_in(name, other)


NORMAL = stats.norm.ppf(np.linspace(0.0005, 0.9995, 2_000))
DECILE = np.searchsorted(stats.norm.ppf(np.arange(1, 10) / 10), NORMAL)
ENDS = np.array([NORMAL[0] - 1e-9, *stats.norm.ppf(np.arange(1, 10) / 10), NORMAL[-1]]) - NORMAL[0]


def in_deciles(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], Reals]:
    """Counts of the 2,000 values as below, ten bins, above, missing; and the sums in them, missing left out."""
    counts, sums = np.zeros((len(rows), 13), np.int64), np.zeros((len(rows), 12))
    for place in range(10):
        inside = place == DECILE
        counts[:, place + 1] = rows[:, inside].sum(axis=1)
        sums[:, place + 1] = rows[:, inside] @ (NORMAL[inside] - NORMAL[0])
    return counts, sums


def compared(before: NDArray[np.int64], now: NDArray[np.int64]) -> Pair:
    (first, first_sums), (second, second_sums) = in_deciles(before), in_deciles(now)
    return Pair(first, second, Values(ENDS, first_sums, second_sums, float(NORMAL.std())))


@pytest.mark.parametrize("statistic", STATISTICS.values(), ids=list(STATISTICS))
@pytest.mark.parametrize(("shift", "rows"), [(0.3, 1_000), (0.5, 1_000), (0.5, 5_000)])
def test_the_interval_holds_the_effect_that_the_shares_themselves_have(
    statistic: Statistic, shift: float, rows: int
) -> None:
    rng = np.random.default_rng(3)
    even, window = np.full(2_000, 1 / 2_000), stats.norm.pdf(NORMAL - shift) / stats.norm.pdf(NORMAL)
    window /= window.sum()
    whole = [np.array([shares * 10**12]).astype(np.int64) for shares in (even, window)]
    truth = float(statistic.effect(compared(whole[0], whole[1])).plug_in[0])
    found = statistic.effect(compared(rng.multinomial(ROWS, even, 400), rng.multinomial(rows, window, 400)))
    assert ((found.low <= truth) & (truth <= found.high)).mean() >= 0.92
    assert abs(np.median(found.corrected) - truth) < 0.12 * truth + 0.005


def test_every_statistic_of_the_settings_is_found_and_only_those() -> None:
    assert {metric.drift for metric in METRICS.values() if metric.drift} == set(DriftStatistic)
    assert set(STATISTICS) == set(DriftStatistic) - {"chi_squared"}
    for name in STATISTICS:
        assert METRICS[name].limits == STATISTICS[name].limits
    assert METRICS["chi_squared"].limits is METRICS["kolmogorov_smirnov_p"].limits is None


def test_what_is_missing_has_its_reason() -> None:
    known = with_clipped(numeric_bins([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    old = numeric_bins([1.0, 2.0, 3.0, 4.0])
    features = {"known": known, "old": old, "gone": NumericBins((), (0, 9))}
    of = package(Target("y", TargetType.REGRESSION), Baseline(4, dict(features)))
    width = len(known.counts)
    missing = Summary({f"feature:{name}": np.eye(width, dtype=np.int64)[-1] * 9 for name in ("known", "old")})
    some = Summary({f"feature:{name}": np.ones(width, np.int64) for name in ("known", "old")})
    assert METRICS["psi"].compute(missing, of, "known").reason is Reason.ALL_MISSING
    assert METRICS["psi"].compute(missing, of, "known").value is not None
    for name in ("kolmogorov_smirnov", "kolmogorov_smirnov_p", "wasserstein"):
        assert METRICS[name].compute(missing, of, "known") == drift_value(
            STATISTICS["wasserstein"], Pair(np.array(known.counts), missing.vector("feature:known", width))
        )
        assert METRICS[name].compute(missing, of, "known").reason is Reason.ALL_MISSING
    assert METRICS["wasserstein"].compute(some, of, "old").reason is Reason.NO_BASELINE
    assert METRICS["kolmogorov_smirnov"].compute(some, of, "old").value is not None
    assert METRICS["kolmogorov_smirnov"].compute(Summary({"feature:gone": np.array([3, 0])}), of, "gone").reason is (
        Reason.NO_BASELINE
    )


ODD: dict[str, list[float | str | None]] = {
    "age": [*np.random.default_rng(4).lognormal(3, 1, 400).tolist(), None],
    "constant": [1.0] * 400,
    "huge": [-1e308, 0.0, 1e308] * 150,
    "tiny": [5e-324, 0.0] * 200,
    "rare": [1.0, *[None] * 399],
    "gone": [None] * 9,
    "plan": [*["a"] * 300, *["b"] * 99, None],
}
WINDOWS: list[list[float | str | None]] = [[], [None], [1.0], ["new"], [float("inf")] * 40, [-1e308, 1e308] * 60]


@cache
def odd_package() -> Package:
    columns = {name: pl.Series(name, values, strict=False) for name, values in ODD.items()}
    columns["gone"] = columns["gone"].cast(pl.Float64)
    baseline = Baseline()
    for name, column in columns.items():
        kind = FeatureType.CATEGORICAL if name == "plan" else FeatureType.NUMERIC
        own = Baseline(features={name: feature_bins(Feature(name, kind), column)})
        own = with_noise(own, column.to_frame(), np.random.default_rng(5))
        baseline = replace(baseline, features=baseline.features | own.features, noise=baseline.noise | own.noise)
    return package(Target("y", TargetType.REGRESSION), baseline)


def odd_summaries(name: str) -> Iterator[Summary]:
    for values in (*WINDOWS, ODD[name], ODD[name][:1], ODD[name][:30]):
        wanted = str if name == "plan" else float
        fit = [value if isinstance(value, wanted) else None for value in values]
        column = pl.Series(name, fit, pl.String if name == "plan" else pl.Float64)
        folded = fold_features(column.to_frame(), np.zeros(len(fit), np.int64), None, odd_package(), Span.DAY)
        for summary in folded.values():
            yield summary
            taken = Summary()
            taken.add(summary, -1)
            yield taken
            yield Summary({f"feature:{name}": summary.counts[f"feature:{name}"]})  # the sums were read before


@pytest.mark.parametrize("metric", [name for name, one in METRICS.items() if one.drift and one.per_feature])
def test_every_window_has_a_value_or_a_reason_with_noise_and_sums(metric: str) -> None:
    for name in ODD:
        for summary in (Summary(), *odd_summaries(name)):
            value = METRICS[metric].compute(summary, odd_package(), name)
            assert (value.value is None) <= (value.reason is not None), (name, summary)
            for number in (value.value, value.low, value.high):
                assert number is None or isfinite(number), (name, summary)
            if value.value is not None and value.low is not None and value.high is not None:
                assert value.low <= value.value <= value.high
