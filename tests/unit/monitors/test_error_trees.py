"""The error model of a regression: what it sees that the cells of the prediction do not, and when it says nothing."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sklearn.tree import DecisionTreeRegressor

from monitors.baseline import build_baseline
from monitors.bins import bin_rows, numeric_bins
from monitors.diagnosis_outcomes import signs_of_outcomes
from monitors.error_trees import fitted, leaves_of
from monitors.estimate import ESTIMATES
from monitors.estimate.losses import LEAVES
from monitors.folds import fold_outcomes
from monitors.folds.foreseen import has_error_model
from monitors.summary import Summary
from monitors.trust import verdict
from schemas.deployment import Span
from schemas.diagnosis import Evidence
from schemas.observation import Kind
from schemas.package import Baseline, Losses, Package
from tests.unit.monitors.error_scene import CHANGED, FEATURES, PRICE, Floats, asked, both, learned, rows, said
from tests.unit.monitors.fold_frames import outcomes, package
from tests.unit.monitors.fold_frames import said as answered

LIVE = learned(np.random.default_rng(1))


def losses_of(live: Package) -> Losses:
    assert live.baseline.losses is not None
    return live.baseline.losses


def test_where_a_feature_shifts_that_the_prediction_does_not_see_the_estimate_is_nearer_and_covers_as_it_says() -> None:
    rng = np.random.default_rng(7)
    far: dict[tuple[str, str], list[float]] = {}
    held: dict[str, list[bool]] = {"mae": [], "rmse": []}
    for _ in range(8):
        live = learned(rng)
        for window in range(25):
            wider, kinds = ((1.0, (0.5, 0.3, 0.2)), (1.5, CHANGED))[window % 2]
            frame, predicted, truth = rows(rng, 1_000, wider, kinds)
            errors = np.abs(truth - predicted)
            realised = {"mae": float(errors.mean()), "rmse": float(np.sqrt((errors**2).mean()))}
            cells, whole = said(live, predicted), both(live, frame, predicted)
            for name, true in realised.items():
                for by, summary in (("cells", cells), ("trees", whole)):
                    value = ESTIMATES[name].compute(summary, live).value
                    assert value is not None
                    far.setdefault((name, by), []).append(abs(value / true - 1))
                low, high = ESTIMATES[name].interval(ESTIMATES[name].compute(whole, live))
                held[name].append((low or np.inf) <= true <= (high or 0))
    away = {key: float(np.mean(some)) for key, some in far.items()}
    assert away["mae", "cells"] > 0.3
    assert away["rmse", "cells"] > 0.3
    assert away["mae", "trees"] < 0.04
    assert away["rmse", "trees"] < 0.04
    shares = {name: float(np.mean(some)) for name, some in held.items()}
    assert all(0.90 <= share <= 0.98 for share in shares.values()), shares


def test_where_features_are_as_they_were_the_model_changes_next_to_nothing() -> None:
    frame, predicted, _ = rows(np.random.default_rng(2), 4_000)
    for name in ("mae", "rmse"):
        cells = ESTIMATES[name].compute(said(LIVE, predicted), LIVE)
        whole = ESTIMATES[name].compute(both(LIVE, frame, predicted), LIVE)
        assert whole.value == pytest.approx(cells.value, rel=0.03)
        assert whole.error == pytest.approx(cells.error, rel=0.1)


def test_a_shift_that_the_error_model_knows_is_neither_doubt_about_estimates_nor_concept_drift() -> None:
    frame, predicted, truth = rows(np.random.default_rng(15), 2_000, 1.5, CHANGED)
    came = outcomes(
        [
            {"kind": "matched", "value": actual, "predictions": [answered(value)]}
            for actual, value in zip(truth.tolist(), predicted.tolist(), strict=True)
        ]
    )
    known = fold_outcomes(came, {"m": LIVE}, Span.DAY)[Kind.ACCURACY, "m", "", 0]
    for summary, holds in ((both(LIVE, frame, predicted), True), (said(LIVE, predicted).copy(), False)):
        summary.add(known)
        assert verdict(summary, LIVE) is holds
        signs, reason = signs_of_outcomes(summary, LIVE)
        assert reason is None
        speaks = {sign.evidence: sign.speaks for sign in signs}
        assert speaks[Evidence.LOSS_GIVEN_SCORE] is not holds
        assert speaks[Evidence.LOSS]


def test_features_that_tell_nothing_make_no_tree() -> None:
    rng = np.random.default_rng(3)
    bins = {f"x{place}": numeric_bins(rng.normal(size=4_000)) for place in range(20)}
    drawn = {name: bin_rows(known, pl.Series(rng.normal(size=4_000))) for name, known in bins.items()}
    assert fitted(drawn, bins, np.abs(rng.normal(size=4_000)), rng.normal(size=4_000) ** 2) == ()
    assert not has_error_model(package(PRICE))


def test_a_model_that_errs_by_rounding_alone_has_no_error_model() -> None:
    frame, predicted, _ = rows(np.random.default_rng(4), 2_000)
    exact = learned_of(frame, predicted, predicted * (1 + 1e-15))
    assert losses_of(exact).trees == ()


def learned_of(frame: pl.DataFrame, predicted: Floats, truth: Floats) -> Package:
    return package(PRICE, build_baseline(FEATURES, PRICE, frame, truth, predicted, holdout=frame))


def test_the_first_split_is_that_of_scikit_learns_tree() -> None:
    rng = np.random.default_rng(5)
    columns = {name: rng.normal(size=3_000) for name in ("a", "b", "c")}
    loss = np.abs(rng.normal(size=3_000)) * np.where(columns["b"] > 0.4, 2.0, 1.0)
    bins = {name: numeric_bins(column) for name, column in columns.items()}
    binned = {name: bin_rows(bins[name], pl.Series(column)) for name, column in columns.items()}
    for turn, tree in enumerate(fitted(binned, bins, loss, loss**2)):
        chosen = np.arange(3_000) % 2 == turn
        codes = np.column_stack([binned[name][chosen] for name in sorted(binned)])
        judge = DecisionTreeRegressor(max_depth=1, min_samples_leaf=100).fit(codes, loss[chosen])
        first = tree.splits[0]
        assert (first.feature, first.leaf) == (sorted(binned)[judge.tree_.feature[0]], 0)
        assert min(first.bins) == np.ceil(judge.tree_.threshold[0])


def test_means_are_of_rows_that_had_no_part_in_choosing_the_leaves() -> None:
    frame, predicted, truth = rows(np.random.default_rng(6), 6_000)
    losses = losses_of(learned_of(frame, predicted, truth))
    watched = learned_of(frame, predicted, truth).baseline.features
    binned = {name: bin_rows(bins, frame[name]) for name, bins in watched.items()}
    errors = np.abs(truth - predicted)
    left = errors - np.array(losses.absolute)[np.searchsorted(losses.edges, predicted)]
    assert len(losses.trees) == 2
    for turn, tree in enumerate(losses.trees):
        places, apart = leaves_of(tree.splits, binned, watched), np.arange(6_000) % 2 != turn
        for leaf, (count, mean, variance) in enumerate(
            zip(tree.rows, tree.absolute, tree.absolute_variance, strict=True)
        ):
            of_leaf = left[apart & (places == leaf)]
            assert count == of_leaf.size >= 30
            assert mean == pytest.approx(of_leaf.mean(), rel=1e-9)
            assert variance == pytest.approx(of_leaf.var(), rel=1e-9)
        assert tree.shares == pytest.approx(np.bincount(places) / 6_000)


@given(st.lists(st.integers(0, 299), max_size=6), st.randoms())
@settings(deadline=None, max_examples=20)
def test_every_request_is_in_one_leaf_of_each_tree_whatever_the_cut_and_the_order(
    cuts: list[int], shuffled: object
) -> None:
    frame, _, _ = rows(np.random.default_rng(8), 300)
    frame = frame.with_columns(
        wide=pl.when(pl.int_range(300) % 9 == 0).then(None).otherwise("wide"),
        kind=pl.when(pl.int_range(300) % 7 == 0).then(pl.lit("new")).otherwise("kind"),
    )
    whole = asked(LIVE, frame)
    edges = sorted({0, *cuts, 300})
    parts = [frame[first:last] for first, last in pairwise(edges)]
    shuffled.shuffle(parts)  # type: ignore[attr-defined]  # Hypothesis' own random.Random
    total = Summary()
    for part in parts:
        total.add(asked(LIVE, part[::-1]))
    assert total == whole
    assert [whole.count(f"{LEAVES}{place}") for place in range(2)] == [300, 300]


def test_without_requests_or_with_too_few_of_them_cells_speak_alone() -> None:
    frame, predicted, _ = rows(np.random.default_rng(9), 1_000, 1.5)
    alone = ESTIMATES["mae"].compute(said(LIVE, predicted), LIVE)
    half = said(LIVE, predicted).copy()
    half.add(asked(LIVE, frame[:800]))
    assert ESTIMATES["mae"].compute(half, LIVE) == alone
    assert ESTIMATES["mae"].compute(both(LIVE, frame, predicted), LIVE) != alone


def test_requests_that_were_repeated_change_no_share() -> None:
    frame, predicted, _ = rows(np.random.default_rng(10), 1_000, 1.5)
    once = both(LIVE, frame, predicted)
    twice = once.copy()
    twice.add(asked(LIVE, frame))
    assert ESTIMATES["mae"].compute(twice, LIVE) == ESTIMATES["mae"].compute(once, LIVE)


def test_an_excluded_feature_is_asked_for_by_no_error_model() -> None:
    frame, _, _ = rows(np.random.default_rng(11), 10)
    assert asked(LIVE, frame, excluded=["wide"]).is_empty()
    assert not asked(LIVE, frame, excluded=["noise"]).is_empty()


def test_a_feature_that_requests_do_not_have_is_missing() -> None:
    frame, _, _ = rows(np.random.default_rng(12), 50)
    assert asked(LIVE, frame.drop("wide")) == asked(LIVE, frame.with_columns(wide=pl.lit(None, pl.Float64)))


def test_a_package_of_before_error_models_is_read_and_its_cells_speak_alone() -> None:
    losses = losses_of(LIVE)
    body = msgspec.to_builtins(losses)
    del body["trees"]
    older = msgspec.convert(body, Losses)
    assert older == replace(losses, trees=())
    live = package(PRICE, Baseline(losses=older, features=LIVE.baseline.features))
    frame, predicted, _ = rows(np.random.default_rng(13), 100)
    assert ESTIMATES["mae"].compute(both(live, frame, predicted), live).value is not None


def test_what_would_leave_no_loss_is_not_believed() -> None:
    losses = losses_of(LIVE)
    wrong = [
        replace(tree, absolute=tuple(-1e6 * (leaf > 0) for leaf in range(len(tree.rows)))) for tree in losses.trees
    ]
    live = package(PRICE, replace(LIVE.baseline, losses=replace(losses, trees=tuple(wrong))))
    frame, predicted, _ = rows(np.random.default_rng(14), 1_000, 3.0)
    summary = both(live, frame, predicted)
    assert ESTIMATES["mae"].compute(summary, live) == ESTIMATES["mae"].compute(said(live, predicted), live)


@given(st.lists(st.lists(st.integers(-5, 1_000_000), max_size=60), min_size=3, max_size=3))
@settings(deadline=None)
def test_whatever_was_counted_an_estimate_is_a_number_or_a_reason(vectors: list[list[int]]) -> None:
    names = ("scored", f"{LEAVES}0", f"{LEAVES}1")
    summary = Summary({name: np.array(counts, np.int64) for name, counts in zip(names, vectors, strict=True)})
    for name in ("mae", "rmse"):
        found = ESTIMATES[name].compute(summary, LIVE)
        if found.value is None:
            assert found.reason is not None
        else:
            assert np.isfinite([found.value, found.error or 0.0]).all()
