"""Accuracy by when it came true: the same rows in the bucket of the actual; corrections stay where those were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.folds import SummaryKey, fold_outcomes
from monitors.metrics import METRICS
from monitors.metrics.by_outcome_time import SUFFIX
from monitors.summary import Summary
from monitors.windows import window_span
from schemas.deployment import HOUR_MS, Settings, Span
from schemas.observation import Kind
from schemas.package import Target, TargetType
from tests.unit.monitors.fold_frames import merged, outcomes, package, said

BOUGHT = package(Target("bought", TargetType.BINARY, ("no", "yes")))
PRICE = package(Target("price", TargetType.REGRESSION))


def row(asked: int, told: int, *, label: str | None = "yes", score: float = 0.8, **more: object) -> dict[str, Any]:
    answer = said(score, at_ms=asked * HOUR_MS, segments=("plan=a",))
    return {"kind": "matched", "label": label, "timestamp_ms": told * HOUR_MS, "predictions": [answer]} | more


def folded(*rows: Mapping[str, Any]) -> dict[SummaryKey, Summary]:
    return fold_outcomes(outcomes(rows), {"m": BOUGHT}, Span.HOUR, by_outcome_time=True)


def of_outcomes(found: Mapping[SummaryKey, Summary]) -> dict[tuple[str, int], Summary]:
    return {(segment, start): one for (kind, _, segment, start), one in found.items() if kind is Kind.OUTCOMES}


def test_a_row_is_in_the_bucket_of_its_prediction_and_in_that_of_its_actual() -> None:
    found = folded(row(1, 5), row(2, 5, label="no"))
    told = of_outcomes(found)
    assert set(told) == {(segment, 5 * HOUR_MS) for segment in ("", "plan=a")}
    assert told["", 5 * HOUR_MS].counts["confusion"].tolist() == [0, 1, 0, 1]
    assert {start for kind, _, _, start in found if kind is Kind.ACCURACY} == {HOUR_MS, 2 * HOUR_MS}


def test_without_the_setting_nothing_of_it_is_kept() -> None:
    frame = outcomes([row(1, 5)])
    assert of_outcomes(fold_outcomes(frame, {"m": BOUGHT}, Span.HOUR)) == {}
    assert not Settings().by_outcome_time


def test_a_correction_and_a_withdrawal_take_back_what_was_counted_there() -> None:
    corrected = row(1, 5, kind="corrected", label="no", previous_label="yes")
    withdrawn = row(1, 5, kind="withdrawn", label=None, previous_label="no")
    assert merged([folded(row(1, 5)), folded(corrected)]) == merged([folded(row(1, 5, label="no"))])
    assert merged([folded(row(1, 5)), folded(corrected), folded(withdrawn)]) == {}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans(), st.floats(0, 1)), max_size=12))
@settings(deadline=None, max_examples=30)
def test_over_all_time_both_say_the_same(rows: list[tuple[int, int, bool, float]]) -> None:
    found = folded(*(row(asked, told, label="yes" if true else "no", score=score) for asked, told, true, score in rows))
    totals = {kind: Summary() for kind in (Kind.ACCURACY, Kind.OUTCOMES)}
    for (kind, _, segment, _), one in found.items():
        if kind in totals and not segment:
            totals[kind].add(one)
    for name, metric in METRICS.items():
        if metric.kind is Kind.OUTCOMES and metric.applies(BOUGHT):
            before = METRICS[name.removesuffix(SUFFIX)].compute(totals[Kind.ACCURACY], BOUGHT, "")
            assert metric.compute(totals[Kind.OUTCOMES], BOUGHT, "") == before


@pytest.mark.parametrize("name", ["rmse", "auc", "f1_macro", "accuracy", "calibration_error"])
def test_every_metric_of_how_good_the_model_is_has_a_twin(name: str) -> None:
    assert METRICS[f"{name}{SUFFIX}"].kind is Kind.OUTCOMES
    assert f"coverage{SUFFIX}" not in METRICS


def test_its_windows_are_as_long_as_those_of_accuracy() -> None:
    asked = Settings(accuracy_window=Span.WEEK)
    assert window_span(asked, Kind.OUTCOMES) is window_span(asked, Kind.ACCURACY) is Span.WEEK
