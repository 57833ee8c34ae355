"""Data quality: rates beside those of training, refusals counted by feature, and a status by the settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from monitors.bins import categorical_bins, numeric_bins
from monitors.folds import fold_features, fold_outcomes, fold_refusals, fold_schemas
from monitors.metrics import METRICS, Value
from monitors.summary import Summary
from schemas.deployment import Settings, Span
from schemas.expectations import QualityLimits
from schemas.observation import Kind, Reason, Status
from schemas.package import Baseline, Target, TargetType
from schemas.prediction import ErrorCode
from tests.unit.monitors.fold_frames import merged, outcomes, package, said

TRAINING: dict[str, list[Any]] = {
    "age": [1.0, 2.0, 3.0, 4.0, None] * 20,
    "plan": ["a", "b", "b", None, "a"] * 20,
    "fixed": [7.0] * 100,
}
LIVE = package(
    Target("bought", TargetType.BINARY, ("no", "yes")),
    Baseline(
        rows=100,
        features={
            "age": numeric_bins(np.array(TRAINING["age"], np.float64)),
            "plan": categorical_bins(pl.Series(TRAINING["plan"])),
            "fixed": numeric_bins(TRAINING["fixed"]),
        },
    ),
)

CLOSED = True


def folded(**columns: list[Any]) -> Summary:
    rows = len(next(iter(columns.values())))
    frame = pl.DataFrame(columns, schema_overrides={"age": pl.Float64, "plan": pl.String, "fixed": pl.Float64})
    return fold_features(frame, np.zeros(rows, np.int64), None, LIVE, Span.HOUR)[Kind.FEATURES, "m", "", 0]


def value(name: str, summary: Summary, feature: str = "") -> Value:
    return METRICS[name].compute(summary, LIVE, feature)


def status(name: str, summary: Summary, feature: str = "", settings: Settings | None = None) -> Status | None:
    judge = METRICS[name].judge
    assert judge is not None
    judgement = judge(value(name, summary, feature), feature, settings or Settings(), CLOSED)
    return None if judgement is None else judgement.status


def test_rates_are_shares_of_rows_beside_those_of_training() -> None:
    summary = folded(age=[0.5, 5.0, 2.0, None] * 25, plan=["a", "z", None, "a"] * 25)
    missing, outside = value("missing_rate", summary, "age"), value("out_of_range_rate", summary, "age")
    assert (missing.value, missing.baseline, missing.n) == (0.25, 0.2, 100)
    assert (outside.value, outside.baseline) == (0.5, 0.0)
    assert value("missing_rate", summary, "plan").baseline == 0.2
    assert value("unseen_rate", summary, "plan").value == 0.25
    assert value("unseen_rate", summary, "age").reason is Reason.NOT_APPLICABLE
    assert value("out_of_range_rate", summary, "plan").reason is Reason.NOT_APPLICABLE
    assert value("missing_rate", summary, "nobody").reason is Reason.NO_BASELINE


def test_the_interval_of_a_rate_is_wilsons() -> None:
    found = value("missing_rate", folded(age=[None] * 3 + [1.0] * 97), "age")
    judge = binomtest(3, 100).proportion_ci(method="wilson")  # its z has more digits than 1.96
    assert found.low == pytest.approx(judge.low, rel=1e-4)
    assert found.high == pytest.approx(judge.high, rel=1e-4)


@pytest.mark.parametrize(
    ("missing", "rows", "expected"),
    [
        (2_000, 10_000, Status.PASSING),
        (2_300, 10_000, Status.AT_RISK),
        (3_000, 10_000, Status.FAILING),
        (42, 200, Status.UNKNOWN),
        (20, 20, Status.UNKNOWN),
        (1, 1, Status.UNKNOWN),
    ],
)
def test_status_is_by_how_far_a_rate_is_above_training(missing: int, rows: int, expected: Status) -> None:
    summary = folded(age=[None] * missing + [1.0] * (rows - missing))
    assert status("missing_rate", summary, "age") is expected


def test_limits_are_a_setting() -> None:
    summary = folded(age=[None] * 3_000 + [1.0] * 7_000)
    assert status("missing_rate", summary, "age", Settings(quality=QualityLimits(0.3, 0.5))) is Status.PASSING


def test_refused_requests_are_counted_by_cause_and_feature_and_by_who_asked() -> None:
    causes = [
        (ErrorCode.WRONG_TYPE, "age"),
        (ErrorCode.MISSING_FEATURE, "age"),
        (ErrorCode.NOT_FINITE, "age"),
        (ErrorCode.BAD_TIME, ""),
    ]
    segments = [("consumer=web",), ("consumer=app",), ("consumer=web",), ("consumer=web",)]
    found = fold_refusals(causes, np.zeros(4, np.int64), segments, "m", Span.HOUR)
    total = folded(age=[1.0] * 6)
    total.add(found[Kind.FEATURES, "m", "", 0])
    assert (value("wrong_type_rate", total, "age").value, value("wrong_type_rate", total, "plan").value) == (0.1, 0.0)
    assert value("missing_rate", total, "age").value == pytest.approx(1 / 7)
    assert value("out_of_range_rate", total, "age").value == pytest.approx(1 / 7)
    web = found[Kind.FEATURES, "m", "consumer=web", 0]
    assert (web.count("refused"), web.count("refused:wrong_type:age")) == (3, 1)


def test_a_feature_stuck_in_one_bin_is_at_risk_unless_training_was_or_rows_are_few() -> None:
    stuck = folded(age=[2.0] * 50, fixed=[7.0] * 50)
    assert (value("constant", stuck, "age").value, status("constant", stuck, "age")) == (1.0, Status.AT_RISK)
    assert (value("constant", stuck, "fixed").value, status("constant", stuck, "fixed")) == (1.0, Status.PASSING)
    assert status("constant", folded(age=[2.0] * 3), "age") is Status.UNKNOWN
    assert status("constant", folded(age=[2.0] * 49 + [3.0]), "age") is Status.PASSING
    assert value("constant", Summary(), "age").reason is Reason.EMPTY


def test_requests_with_features_that_nobody_asked_for_are_a_share_of_those_looked_at() -> None:
    found = fold_schemas(np.array([True, False, False, False]), np.zeros(4, np.int64), None, "m", Span.HOUR)
    rate = value("unknown_feature_rate", found[Kind.FEATURES, "m", "", 0])
    assert (rate.value, rate.n) == (0.25, 4)


def test_repeated_ids_and_actuals_of_no_class_have_rates() -> None:
    rows = [{"kind": "repeated", "predictions": [said(0.8)]}]
    rows += [{"kind": "matched", "label": label, "predictions": [said(0.8)]} for label in ("yes", "no", "maybe")]
    total = Summary({"expected": np.array([4])})
    total.add(fold_outcomes(outcomes(rows), {"m": LIVE}, Span.HOUR)[Kind.ACCURACY, "m", "", 0])
    assert value("repeated_rate", total).value == 0.25
    assert value("invalid_actual_rate", total).value == pytest.approx(1 / 3)


CAUSES = st.tuples(st.sampled_from(list(ErrorCode)), st.sampled_from(["", "age", "plan"]))


@given(st.lists(st.tuples(CAUSES, st.integers(0, 10**8), st.sampled_from([(), ("consumer=web",)])), max_size=12))
def test_refusals_fold_to_the_same_bytes_in_any_order_and_cut(rows: list[tuple[Any, int, tuple[str, ...]]]) -> None:
    def fold(part: list[Any]) -> Any:  # noqa: ANN401  # as the fold
        causes, times, segments = ([row[place] for row in part] for place in range(3))
        return fold_refusals(causes, np.array(times, np.int64), segments, "m", Span.HOUR)

    assert merged(fold([row]) for row in reversed(rows)) == merged([fold(rows)])
