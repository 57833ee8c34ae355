"""What each fold counts, and the laws: no order, no batch cut and no correction leaves a trace."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.baseline import build_baseline
from monitors.bins import categorical_bins, numeric_bins
from monitors.folds import fold_features, fold_outcomes, fold_predictions
from monitors.spans import bucket_start, span_end
from schemas.deployment import DAY_MS, HOUR_MS, Span
from schemas.observation import Kind
from schemas.package import Baseline, Bins, NumericBins, Target, TargetType
from tests.unit.monitors.fold_frames import merged, outcomes, package, predictions, said

BINARY = Target("bought", TargetType.BINARY, ("no", "yes"))
COLOURS = Target("colour", TargetType.MULTICLASS, ("red", "green", "blue"))
PRICE = Target("price", TargetType.REGRESSION)
PACKAGES = {
    "m": package(BINARY),
    "shadow": package(BINARY, Baseline(units={"log_loss": 0.5, "brier": 0.25}), "shadow"),
}


def test_requests_are_counted_by_bin_bucket_and_segment() -> None:
    bins: dict[str, Bins] = {
        "age": numeric_bins([1.0, 2.0, 3.0, 4.0], 2),
        "plan": categorical_bins(pl.Series(["a", "b"])),
    }
    watched = package(BINARY, Baseline(features=bins | {"gone": bins["age"], "off": bins["age"]}))
    frame = pl.DataFrame({"age": [1.0, 9.0, None], "plan": ["a", "z", None], "off": [1.0, 1.0, 1.0]})
    times = np.array([0, 5, HOUR_MS])
    found = fold_features(frame, times, pl.Series([["plan=a"], [], []]), watched, Span.HOUR, excluded={"off"})
    assert set(found) == {
        (Kind.FEATURES, "m", segment, start) for segment, start in (("", 0), ("", HOUR_MS), ("plan=a", 0))
    }
    first = found[Kind.FEATURES, "m", "", 0].counts
    assert set(first) == {"rows", "feature:age", "feature:plan", "feature:gone"}
    assert first["rows"].tolist() == [2]
    assert first["feature:age"].tolist() == [0, 1, 0, 1, 0]
    assert first["feature:plan"].tolist() == [1, 0, 0, 1, 0]
    assert first["feature:gone"].tolist() == [0, 0, 0, 0, 2]
    assert found[Kind.FEATURES, "m", "plan=a", 0].counts["feature:age"].tolist() == [0, 1, 0, 0, 0]


def test_answers_errors_and_times_are_counted() -> None:
    frame = predictions(
        [
            {"value": 0.7, "label": "yes", "execution_ms": 1.0, "segments": ["plan=a"]},
            {"value": 0.2, "label": "no", "execution_ms": 2.0},
            {"error_kind": "data", "error_code": "wrong_type"},
            {"error_kind": "system", "error_code": "model_failed", "segments": ["plan=a"]},
        ]
    )
    found = fold_predictions(frame, package(BINARY), Span.HOUR)
    health = found[Kind.PREDICTIONS, "m", "", 0]
    names = ("rows", "error:data", "error:system", "code:wrong_type", "code:model_failed", "prediction", "execution_ms")
    assert {name: health.count(name) for name in names} == dict(zip(names, (2, 1, 1, 1, 1, 2, 2), strict=True))
    assert found[Kind.ACCURACY, "m", "", 0].count("expected") == 2
    assert found[Kind.ACCURACY, "m", "plan=a", 0].count("expected") == 1
    assert found[Kind.PREDICTIONS, "m", "plan=a", 0].count("error:system") == 1


def test_error_columns_without_errors_may_have_no_type() -> None:
    frame = predictions([{"value": 1.0}]).with_columns(error_kind=pl.lit(None), error_code=pl.lit(None))
    found = fold_predictions(frame, package(PRICE), Span.HOUR)
    assert found[Kind.PREDICTIONS, "m", "", 0].counts["prediction"].tolist() == [1, 0]


def test_empty_frames_fold_to_nothing() -> None:
    nothing = np.array([], np.int64)
    assert fold_features(pl.DataFrame(), nothing, None, package(BINARY), Span.HOUR) == {}
    assert fold_predictions(predictions([]), package(BINARY), Span.HOUR) == {}
    assert fold_outcomes(outcomes([]), {}, Span.HOUR) == {}


def test_an_outcome_goes_to_the_bucket_and_segments_of_its_prediction() -> None:
    row = {"kind": "matched", "label": "yes", "timestamp_ms": 9 * DAY_MS}
    row["predictions"] = [said(0.8, "yes", at_ms=HOUR_MS + 5, segments=["plan=a"])]
    found = fold_outcomes(outcomes([row]), PACKAGES, Span.HOUR)
    assert set(found) == {(Kind.ACCURACY, "m", segment, HOUR_MS) for segment in ("", "plan=a")}
    summary = found[Kind.ACCURACY, "m", "", HOUR_MS]
    assert summary.counts["confusion"].tolist() == [0, 0, 0, 1]
    assert summary.count("matched") == summary.count("positives") == 1
    assert summary.count("negatives") == 0
    assert summary.sums["brier"] == round(0.04 * 2**32)


def test_a_repeated_prediction_is_no_longer_expected_and_an_expired_one_is_counted() -> None:
    rows = [{"kind": kind, "predictions": [said(0.8)]} for kind in ("repeated", "expired", "unmatched", "rejected")]
    found = fold_outcomes(outcomes(rows), PACKAGES, Span.HOUR)[Kind.ACCURACY, "m", "", 0]
    assert (found.count("expected"), found.count("expired"), found.count("matched")) == (-1, 1, 0)


@pytest.mark.parametrize(
    ("target", "actual"),
    [(BINARY, {"label": "maybe"}), (BINARY, {"value": 1.0}), (PRICE, {"label": "x"}), (PRICE, {"value": np.nan})],
)
def test_an_actual_that_is_no_class_or_number_is_counted_and_can_be_corrected(
    target: Target, actual: dict[str, Any]
) -> None:
    packages = {"m": package(target)}
    wrong = {"kind": "matched", "predictions": [said(0.5, "no")]} | actual
    found = fold_outcomes(outcomes([wrong]), packages, Span.DAY)
    summary = found[Kind.ACCURACY, "m", "", 0]
    assert (summary.count("invalid_actual"), summary.count("matched")) == (1, 0)
    assert not summary.sums
    right = {"value": 1.0} if target is PRICE else {"label": "yes"}
    before = {f"previous_{name}": value for name, value in actual.items()}
    corrected = {"kind": "corrected", "predictions": wrong["predictions"]} | right | before
    straight = {"kind": "matched", "predictions": wrong["predictions"]} | right
    fixed = merged([found, fold_outcomes(outcomes([corrected]), packages, Span.DAY)])
    assert fixed == merged([fold_outcomes(outcomes([straight]), packages, Span.DAY)])


def test_whole_numbers_name_classes_that_read_like_them() -> None:
    digits = {"m": package(Target("t", TargetType.BINARY, ("0", "1")))}
    rows = [{"kind": "matched", "value": 1.0, "predictions": [said(0.9, "1")]}]
    found = fold_outcomes(outcomes(rows), digits, Span.DAY)
    assert found[Kind.ACCURACY, "m", "", 0].counts["confusion"].tolist() == [0, 0, 0, 1]


def test_classes_are_derived_where_a_model_gives_none() -> None:
    rows = [
        {"kind": "matched", "label": "green", "predictions": [said(None, None, (0.1, 0.2, 0.7))]},
        {"kind": "matched", "label": "red", "predictions": [said(None, "red")]},
    ]
    found = fold_outcomes(outcomes(rows), {"m": package(COLOURS)}, Span.DAY)[Kind.ACCURACY, "m", "", 0]
    assert found.counts["confusion"].tolist() == [1, 0, 0, 0, 0, 1, 0, 0, 0]
    assert found.count("unpredicted") == 1
    binary = {"kind": "matched", "label": "yes", "predictions": [said(None, None, (0.5, 0.5))]}
    found = fold_outcomes(outcomes([binary]), PACKAGES, Span.DAY)[Kind.ACCURACY, "m", "", 0]
    assert found.counts["confusion"].tolist() == [0, 0, 0, 1]


def test_a_term_beyond_fixed_point_is_left_out_and_counted() -> None:
    rows = [{"kind": "matched", "value": 0.0, "predictions": [said(1e10)]}]
    found = fold_outcomes(outcomes(rows), {"m": package(PRICE)}, Span.DAY)[Kind.ACCURACY, "m", "", 0]
    assert found.count("overflow:e2") == found.count("overflow:e4") == 1
    assert found.count("overflow:abs_e") == 0
    assert {"e", "abs_e"} <= set(found.sums)
    assert {"e2", "e4"}.isdisjoint(found.sums)


LABELS = st.sampled_from(["no", "yes", "maybe"])
ANSWERS = st.builds(
    said,
    value=st.one_of(st.floats(0, 1), st.none()),
    label=st.sampled_from(["no", "yes", None]),
    model=st.sampled_from(["m", "shadow"]),
    at_ms=st.integers(0, 3 * HOUR_MS),
    segments=st.sampled_from([(), ("plan=a",), ("plan=b", "eu=true")]),
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Outcomes of one association with every change of its actual, and those that the last truth alone would give."""
    answers = draw(st.lists(ANSWERS, min_size=1, max_size=3))
    truths = draw(st.lists(st.one_of(st.none(), LABELS), min_size=1, max_size=4))
    rows: list[dict[str, Any]] = []
    known: str | None = None
    for truth in truths:
        if truth is None and known is not None:
            rows.append({"kind": "withdrawn", "previous_label": known, "predictions": answers})
        elif truth is not None and truth != known:
            kind = "corrected" if known else "matched"
            rows.append({"kind": kind, "label": truth, "previous_label": known, "predictions": answers})
        known = truth
    final = [{"kind": "matched", "label": known, "predictions": answers}] if known else []
    return rows, final


@given(st.lists(histories(), max_size=6), st.randoms(use_true_random=False), st.integers(1, 4))
@settings(deadline=None)
def test_changes_of_the_actual_sum_to_the_final_truth_in_any_order_and_cut(
    associations: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]], shuffle: Random, size: int
) -> None:
    changes = [row for rows, _ in associations for row in rows]
    final = [row for _, rows in associations for row in rows]
    shuffle.shuffle(changes)
    batches = [changes[start : start + size] for start in range(0, len(changes), size)]
    folded = [fold_outcomes(outcomes(batch), PACKAGES, Span.HOUR) for batch in batches]
    assert merged(folded) == merged([fold_outcomes(outcomes(final), PACKAGES, Span.HOUR)])


@pytest.mark.parametrize("target", [PRICE, COLOURS, BINARY])
def test_a_stream_folds_to_the_same_bytes_in_any_order_and_cut(target: Target) -> None:
    rng = np.random.default_rng(5)
    rows = [
        {
            "kind": "matched",
            "value": float(rng.lognormal()) if target is PRICE else None,
            "label": None if target is PRICE else str(rng.choice(target.classes)),
            "predictions": [
                said(
                    float(rng.lognormal()) if target is PRICE else None,
                    None,
                    () if target is PRICE else rng.dirichlet(np.ones(len(target.classes))).tolist(),
                    at_ms=int(rng.integers(0, 3 * HOUR_MS)),
                    segments=("plan=a",) if rng.random() < 0.3 else (),
                )
            ],
        }
        for _ in range(150)
    ]
    packages = {"m": package(target)}
    whole = merged([fold_outcomes(outcomes(rows), packages, Span.HOUR)])
    for size in (1, 7, 64):
        order = rng.permutation(len(rows))
        batches = [[rows[place] for place in order[start : start + size]] for start in range(0, len(rows), size)]
        assert merged(fold_outcomes(outcomes(batch), packages, Span.HOUR) for batch in batches) == whole


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.sampled_from("abz"), st.integers(0, 2 * HOUR_MS)), max_size=20),
    st.randoms(use_true_random=False),
    st.integers(1, 5),
)
@settings(deadline=None)
def test_requests_fold_to_the_same_bytes_in_any_order_and_cut(
    rows: list[tuple[float, str, int]], shuffle: Random, size: int
) -> None:
    bins: dict[str, Bins] = {"x": numeric_bins(np.linspace(-4, 4, 50)), "c": categorical_bins(pl.Series(["a", "b"]))}
    watched = package(BINARY, Baseline(features=bins))

    def fold(part: list[tuple[float, str, int]]) -> dict[Any, Any]:
        frame = pl.DataFrame([row[:2] for row in part], schema={"x": pl.Float64, "c": pl.String}, orient="row")
        times = np.array([row[2] for row in part], np.int64)
        return fold_features(
            frame, times, pl.Series([[f"c={row[1]}"] for row in part], dtype=pl.List(pl.String)), watched, Span.HOUR
        )

    whole = merged([fold(rows)])
    shuffle.shuffle(rows)
    assert merged(fold(rows[start : start + size]) for start in range(0, len(rows), size)) == whole


@given(st.integers(-(10**12), 4 * 10**12), st.sampled_from(Span))
def test_every_instant_is_inside_its_bucket(instant: int, span: Span) -> None:
    start = int(bucket_start(np.array([instant]), span)[0])
    assert start <= instant < span_end(start, span)
    assert int(bucket_start(np.array([span_end(start, span)]), span)[0]) == span_end(start, span)
    if span is Span.WEEK:
        assert (start // DAY_MS) % 7 == 4  # 1970-01-05, day 4, was a Monday


def test_live_bins_of_the_baseline_are_those_of_the_fold() -> None:
    rng = np.random.default_rng(7)
    scores = rng.random(500)
    labels = np.where(rng.random(500) < scores, "yes", "no").tolist()
    baseline = build_baseline((), BINARY, pl.DataFrame(), labels, scores)
    assert isinstance(baseline.prediction, NumericBins)
    frame = predictions([{"value": score} for score in scores.tolist()])
    found = fold_predictions(frame, package(BINARY, baseline), Span.HOUR)[Kind.PREDICTIONS, "m", "", 0]
    assert tuple(found.counts["prediction"].tolist()) == baseline.prediction.counts
