"""Noise tables and tolerances: what a package knows of its features without drift."""

from __future__ import annotations

from collections import defaultdict

import msgspec
import numpy as np
import polars as pl
import pytest

from monitors.baseline import feature_bins
from monitors.bins import numeric_bins, prediction_bins
from monitors.clipping import clipped_terms
from monitors.metrics import METRICS, STATISTICS
from monitors.metrics.drift import Pair, Statistic, Values, values_of
from monitors.noise import SIZES, noise_table, with_answer_noise, with_noise
from monitors.summary import Summary
from monitors.tolerance import STEADIEST, tolerance, tolerance_of
from schemas.deployment import Limits
from schemas.package import (
    Baseline,
    Bins,
    CategoricalBins,
    Feature,
    FeatureType,
    Noise,
    NumericBins,
    Target,
    TargetType,
)
from tests.unit.monitors.fold_frames import package

TARGET = Target("price", TargetType.REGRESSION)
ROWS = 20_000


def column(kind: str, rows: int = ROWS, seed: int = 0) -> pl.Series:
    rng = np.random.default_rng(seed)
    if kind == "zipf":
        shares = 1 / np.arange(1, 21)
        return pl.Series(rng.choice([f"v{place}" for place in range(20)], rows, p=shares / shares.sum()))
    if kind == "gaps":
        return pl.Series(np.where(rng.random(rows) < 0.2, np.nan, rng.gamma(2.0, 3.0, rows)))
    return pl.Series({"normal": rng.normal(size=rows), "poisson": rng.poisson(2, rows).astype(float)}[kind])


def binned(values: pl.Series) -> Bins:
    kind = FeatureType.NUMERIC if values.dtype.is_float() else FeatureType.CATEGORICAL
    return feature_bins(Feature("x", kind), values)


def copies(bins: Bins, values: pl.Series, rows: int, draws: int, rng: np.random.Generator) -> Pair:
    """Baselines and windows that are drawn from the training rows themselves."""
    if not isinstance(bins, NumericBins) or bins.clipped is None:
        shares = np.array(bins.counts) / sum(bins.counts)
        return Pair(rng.multinomial(len(values), shares, draws), rng.multinomial(rows, shares, draws))
    counts, sums = [], []
    for size in (len(values), rows):
        chosen = values.to_numpy()[rng.integers(0, len(values), (draws, size))]
        edges = np.array(bins.edges)
        places = np.where(np.isnan(chosen), edges.size + 1, np.searchsorted(edges, chosen))
        index = (places + np.arange(draws)[:, None] * (edges.size + 2)).ravel()
        terms = clipped_terms(bins.clipped, chosen.ravel())
        counts.append(np.bincount(index, minlength=draws * (edges.size + 2)).reshape(draws, -1))
        sums.append(np.bincount(index, terms, minlength=draws * (edges.size + 2)).reshape(draws, -1)[:, :-1] / 2**32)
    known = values_of(bins, bins.clipped, np.zeros(len(bins.edges) + 1, np.int64))
    return Pair(counts[0], counts[1], Values(known.ends, sums[0], sums[1], known.sd))


@pytest.mark.parametrize("kind", ["normal", "zipf", "poisson", "gaps"])
@pytest.mark.parametrize("statistic", STATISTICS.values(), ids=list(STATISTICS))
def test_the_effect_of_a_copy_of_the_baseline_has_mean_zero(statistic: Statistic, kind: str) -> None:
    values = column(kind, 5_000)
    bins = binned(values)
    if statistic.ordered and not isinstance(bins, NumericBins):
        return
    noise = noise_table(bins, values, np.random.default_rng(1))
    assert noise is not None
    for rows in (200, 700):
        pair = copies(bins, values, rows, 600, np.random.default_rng(rows))
        effect = statistic.effect(pair, noise).corrected
        added = np.sign(effect) * effect**2 if statistic.is_distance else effect
        # the table has an error of its own, from 2,000 draws
        assert abs(added.mean()) <= 3 * added.std() * np.sqrt(1 / 600 + 1 / 2000)


@pytest.mark.parametrize("statistic", STATISTICS.values(), ids=list(STATISTICS))
def test_theory_is_near_the_table_where_every_bin_has_rows(statistic: Statistic) -> None:
    values = column("normal")
    bins = binned(values)
    noise = noise_table(bins, values, np.random.default_rng(2))
    assert noise is not None
    assert isinstance(bins, NumericBins)
    assert bins.clipped is not None
    counts = np.array(bins.counts)
    pair = Pair(counts, counts, values_of(bins, bins.clipped, np.array(bins.clipped.sums)))
    mean, variance = (float(each) for each in statistic.null(pair.present() if statistic.ordered else pair))
    law, scale = noise.laws[statistic.name.value], float(pair.noise)
    place = SIZES.index(1_000)
    if statistic.name == "kolmogorov_smirnov":  # on bins the law of Kolmogorov is conservative
        assert 0.5 < law.mean[place] / (mean / scale) < 1
        return
    assert law.mean[place] == pytest.approx(mean / scale, rel=0.1)
    assert law.sd[place] == pytest.approx(np.sqrt(variance) / scale, rel=0.25)


def test_rare_categories_are_noisier_than_theory_and_the_table_knows() -> None:
    shares = np.arange(1, 21) ** -2.0
    rng = np.random.default_rng(3)
    values = pl.Series(rng.choice([f"v{place}" for place in range(20)], ROWS, p=shares / shares.sum()))
    bins = binned(values)
    noise = noise_table(bins, values, rng)
    counts = np.array(bins.counts)
    pair = Pair(counts, np.random.default_rng(4).multinomial(300, counts / counts.sum()))
    psi = STATISTICS["psi"]
    plain, known = psi.effect(pair), psi.effect(pair, noise)
    assert plain.plug_in - plain.corrected == pytest.approx(19 * (1 / 300 + 1 / ROWS))
    assert 1.05 < float((known.plug_in - known.corrected) / (plain.plug_in - plain.corrected)) < 1.3


def test_a_table_is_the_same_from_the_same_seed_and_survives_the_record() -> None:
    values = column("gaps", 2_000)
    bins = binned(values)
    tables = [noise_table(bins, values, np.random.default_rng(5)) for _ in range(2)]
    assert tables[0] == tables[1]
    assert msgspec.json.decode(msgspec.json.encode(tables[0]), type=Noise) == tables[0]
    assert len(msgspec.json.encode(tables[0])) < 3_000


def test_stretches_in_time_know_that_a_stream_wanders() -> None:
    rng = np.random.default_rng(6)
    weeks = np.repeat(rng.normal(0, 0.3, 100), 200)
    values = pl.Series(weeks + rng.normal(size=ROWS))
    bins = binned(values)
    still = noise_table(bins, values, rng)
    moving = noise_table(bins, values, rng, in_time_order=True)
    shuffled = noise_table(bins, values.sample(fraction=1.0, shuffle=True, seed=7), rng, in_time_order=True)
    assert still is not None
    assert moving is not None
    assert shuffled is not None
    assert moving.rows == SIZES[: SIZES.index(5_000) + 1]
    place = SIZES.index(200)
    for name in STATISTICS:
        assert moving.laws[name].mean[place] > 1.5 * still.laws[name].mean[place]
        assert shuffled.laws[name].mean[place] == pytest.approx(still.laws[name].mean[place], rel=0.15)


def test_a_wandering_of_500_is_found_again() -> None:
    rng = np.random.default_rng(8)
    found = [tolerance(rng.multinomial(1000, rng.dirichlet(np.full(10, 50.0), 60))) or 0.0 for _ in range(200)]
    assert np.median(found) == pytest.approx(500, rel=0.05)
    assert np.quantile(found, [0.05, 0.95]).tolist() == pytest.approx([420, 620], rel=0.1)


def test_a_steady_feature_has_the_greatest_tolerance_and_a_wild_one_none() -> None:
    rng = np.random.default_rng(9)
    steady = pl.Series(rng.normal(size=6_000))
    wild = pl.Series(np.repeat(rng.normal(0, 1, 60), 100) + rng.normal(size=6_000))
    short = steady[:2_900]
    assert tolerance_of(binned(steady), steady) == STEADIEST
    assert tolerance_of(binned(wild), wild) is None
    assert tolerance_of(binned(short), short) == STEADIEST
    constant = pl.Series(np.zeros(6_000))
    assert tolerance_of(binned(constant), constant) == STEADIEST


def test_a_baseline_gets_the_tables_of_its_rows_in_the_order_of_their_times() -> None:
    rng = np.random.default_rng(10)
    wild = np.repeat(rng.normal(0, 1, 60), 100) + rng.normal(size=6_000)
    times = pl.Series(rng.permutation(6_000))
    training = pl.DataFrame({"x": wild[times.to_numpy()], "c": ["a", "b"] * 3_000})
    baseline = Baseline(features={name: binned(training[name]) for name in ("x", "c")})
    without = with_noise(baseline, training, rng)
    within = with_noise(baseline, training, rng, times)
    assert without.tolerance == {"x": STEADIEST, "c": STEADIEST}
    assert within.tolerance == {"c": STEADIEST}
    assert within.unstable == ("x",)
    assert without.unstable == ()
    assert within.noise["x"].rows == within.noise["c"].rows == SIZES[: SIZES.index(2_000) + 1]
    empty = with_noise(Baseline(features={"x": NumericBins((), (0, 0))}), pl.DataFrame({"x": []}), rng)
    assert empty.noise == {}


def test_a_feature_that_wandered_too_much_keeps_the_mean_of_counts_and_is_calibrated_by_stretches() -> None:
    rng = np.random.default_rng(11)
    wild = pl.Series(np.repeat(rng.normal(0, 1, 60), 100) + rng.normal(size=6_000))
    bins = binned(wild)
    of_counts = noise_table(bins, wild, np.random.default_rng(12))
    of_stretches = noise_table(bins, wild, np.random.default_rng(12), in_time_order=True)
    found = noise_table(bins, wild, np.random.default_rng(12), in_time_order=True, is_unstable=True)
    assert of_counts is not None
    assert of_stretches is not None
    assert found is not None
    assert found.rows == of_stretches.rows
    place = SIZES.index(500)
    for name in STATISTICS:
        laws = [table.laws[name] for table in (found, of_counts, of_stretches)]
        assert laws[0].q99 == laws[2].q99
        assert laws[0].mean[place] == pytest.approx(laws[1].mean[place], rel=0.1)
        assert laws[0].sd[place] == pytest.approx(laws[1].sd[place], rel=0.2)
        assert laws[2].mean[place] > 5 * laws[1].mean[place]


def test_calibrated_limits_are_what_noise_passes_in_one_window_of_a_hundred() -> None:
    values = column("zipf")
    passed: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for seed in range(8):  # one table of noise is itself a draw
        baseline = with_noise(
            Baseline(features={"x": binned(values)}), values.to_frame("x"), np.random.default_rng(seed)
        )
        of = package(TARGET, baseline)
        counts = np.array(baseline.features["x"].counts)
        rng = np.random.default_rng(100 + seed)
        for name, statistic in STATISTICS.items():
            quiet = METRICS[name].quiet
            assert quiet is not None
            found = quiet(of, "x", 150)
            assert quiet(of, "unknown", 150) == quiet(of, "x", 0) == Limits(0.0, 0.0)
            if statistic.ordered:
                assert found == Limits(0.0, 0.0)
                continue
            pair = Pair(rng.multinomial(ROWS, counts / ROWS, 4_000), rng.multinomial(150, counts / ROWS, 4_000))
            effects = statistic.effect(pair, baseline.noise["x"]).corrected
            passed[name].append(((effects > found.at_risk).mean(), (effects > found.failing).mean()))
    for shares in passed.values():
        at_risk, failing = np.mean(shares, axis=0)
        assert at_risk == pytest.approx(0.01, abs=0.005)
        assert failing <= 0.003


@pytest.mark.parametrize("kind", list(TargetType))
def test_predictions_and_actuals_have_calibrated_limits_too(kind: TargetType) -> None:
    """Without drift one window of a hundred is above the first, in metrics as they are told."""
    rng = np.random.default_rng(3)
    classes = {TargetType.REGRESSION: (), TargetType.BINARY: ("n", "y"), TargetType.MULTICLASS: ("a", "b", "c")}[kind]
    target = Target("y", kind, classes)
    said: Bins = CategoricalBins(classes, (3_000, 1_500, 500, 0, 0, 0))
    if kind is not TargetType.MULTICLASS:
        said = prediction_bins(target, pl.Series(rng.beta(2, 5, 5_000)))
    true = numeric_bins(rng.normal(size=5_000)) if not classes else CategoricalBins(classes, (1_500, 3_500, 0, 0, 0))
    if len(classes) == len(("a", "b", "c")):
        true = said
    of = package(target, with_answer_noise(Baseline(prediction=said, target=true), target, rng))
    for name, summed, bins in (("prediction_psi", "prediction", said), ("target_psi", "target", true)):
        quiet = METRICS[name].quiet
        assert quiet is not None
        limits = quiet(of, "", 150)
        shares = np.array(bins.counts) / sum(bins.counts)
        found = [
            METRICS[name].compute(Summary({summed: counts}), of, "").value or 0.0
            for counts in rng.multinomial(150, shares, 3_000)
        ]
        assert 0.0 < limits.at_risk < limits.failing
        # a window of this very baseline: the table's baseline was drawn as well, which widens it by a few percent
        assert 0.004 <= np.mean(np.array(found) > limits.at_risk) <= 0.016
        assert quiet(package(target, Baseline(prediction=said, target=true)), "", 150) == Limits(0.0, 0.0)


def test_noise_of_predictions_is_that_of_the_bins_that_the_statistic_reads() -> None:
    """The 258 bins of a probability are pooled for the index, but not for what goes by their order."""
    target = Target("y", TargetType.BINARY, ("n", "y"))
    said = prediction_bins(target, pl.Series(np.random.default_rng(0).beta(2, 5, 5_000)))
    found = with_answer_noise(Baseline(prediction=said), target, np.random.default_rng(1))
    assert found.target_noise is None
    assert found.prediction_noise is not None
    ten_bins_less_one = 9.0
    assert found.prediction_noise.laws["psi"].mean[2] == pytest.approx(ten_bins_less_one, rel=0.1)
    assert "kolmogorov_smirnov" in found.prediction_noise.laws
