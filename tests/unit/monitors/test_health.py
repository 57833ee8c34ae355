"""Service health against plain counting: load, throughput, times, slow requests, consumers."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.folds import fold_predictions
from monitors.metrics import METRICS, Value
from monitors.summary import Summary
from schemas.deployment import DAY_MS, HOUR_MS, MINUTE_MS, Settings, Span
from schemas.observation import Kind, Reason
from schemas.package import Target, TargetType
from tests.unit.monitors.fold_frames import merged, package, predictions
from tests.unit.monitors.test_drift import WORLDS

PRICE = package(Target("price", TargetType.REGRESSION))
Row = dict[str, Any]


def health(rows: list[Row], bucket: Span = Span.HOUR) -> Summary:
    """All that is known of these answers, whatever their buckets."""
    total = Summary()
    for (kind, _, segment, _), summary in fold_predictions(predictions(rows), PRICE, bucket).items():
        if kind is Kind.PREDICTIONS and not segment:
            total.add(summary)
    return total


def value(name: str, summary: Summary) -> Value:
    return METRICS[name].compute(summary, PRICE, "")


def number(found: float | None) -> float:
    assert found is not None
    return found


ANSWERS = st.builds(
    lambda at_ms, consumer, time, bad: {
        "timestamp_ms": at_ms,
        "consumer": consumer,
        "segments": [f"consumer={consumer}"],
        "value": None if bad else 1.0,
        "error_kind": "data" if bad else None,
        "response_ms": time,
        "execution_ms": time / 3,
    },
    st.integers(-2 * HOUR_MS, 3 * DAY_MS),
    st.sampled_from([None, "web", "app"]),
    st.floats(0, 1e5),
    st.booleans(),
)


@given(st.lists(ANSWERS, max_size=30), st.randoms(use_true_random=False), st.integers(1, 7))
@settings(deadline=None)
def test_answers_fold_to_the_same_bytes_in_any_order_and_cut(rows: list[Row], shuffle: Random, size: int) -> None:
    whole = merged([fold_predictions(predictions(rows), PRICE, Span.DAY)])
    shuffle.shuffle(rows)
    cuts = [rows[start : start + size] for start in range(0, len(rows), size)]
    assert merged(fold_predictions(predictions(cut), PRICE, Span.DAY) for cut in cuts) == whole


@given(st.lists(ANSWERS, min_size=1, max_size=40), st.sampled_from([Span.MINUTE, Span.HOUR, Span.DAY, Span.MONTH]))
@settings(deadline=None)
def test_load_is_that_of_the_minutes_whatever_the_bucket(rows: list[Row], bucket: Span) -> None:
    minutes = Counter(row["timestamp_ms"] // MINUTE_MS for row in rows)
    summary = health(rows, bucket)
    assert value("load_per_minute_peak", summary).value == max(minutes.values())
    assert value("load_per_minute_median", summary).value == np.median(list(minutes.values()))
    seconds = 60 * (max(minutes) - min(minutes) + 1)
    assert value("requests_per_s", summary).value == pytest.approx(len(rows) / seconds)


def test_a_year_of_few_rows_is_counted_by_minute_too() -> None:
    rows: list[Row] = [{"timestamp_ms": day * DAY_MS + 5, "value": 1.0} for day in range(365)] * 2
    assert value("load_per_minute_peak", health(rows, Span.DAY)).value == 2
    assert value("load_per_minute_median", health(rows, Span.MONTH)).value == 2


@pytest.mark.parametrize("world", WORLDS)
def test_the_mean_of_times_is_that_of_the_numbers_their_percentiles_are_near_and_errors_are_in_neither(
    world: str,
) -> None:
    drawn = np.abs(WORLDS[world](np.random.default_rng(3), 0.0)[:500]) * 30
    times = np.clip(drawn, 0.0, 9e5)  # the histogram ends at a quarter of an hour
    rows: list[Row] = [{"value": 1.0, "response_ms": time, "execution_ms": time / 7} for time in times.tolist()]
    summary = health([*rows, {"error_kind": "system", "response_ms": 1e9, "execution_ms": 1e9}])
    assert value("response_ms_mean", summary).value == pytest.approx(times.mean(), rel=1e-9)
    assert value("execution_ms_mean", summary).value == pytest.approx(times.mean() / 7, rel=1e-9)
    for percent in (50, 90, 95, 99):
        exact = np.quantile(times, percent / 100, method="inverted_cdf")
        assert value(f"response_ms_p{percent}", summary).value == pytest.approx(exact, rel=0.0443, abs=0.01)


@given(st.lists(st.floats(0.02, 9e5), min_size=1, max_size=60), st.floats(0.02, 9e5))
@settings(deadline=None)
def test_slow_requests_are_between_their_certain_bounds(times: list[float], limit_ms: float) -> None:
    summary = health([{"value": 1.0, "response_ms": time} for time in times])
    found = METRICS["slow_requests"].computed_by(Settings(slow_ms=limit_ms))(summary, PRICE, "")
    assert number(found.low) <= sum(time > limit_ms for time in times) <= number(found.high)
    assert number(found.low) <= number(found.value) <= number(found.high)
    near = [sum(time > edge_ms for time in times) for edge_ms in (limit_ms * 1.0443, limit_ms / 1.0443)]
    assert near[0] <= number(found.value) <= near[1]


def test_predictions_are_the_requests_that_got_a_value() -> None:
    summary = health([{"value": 1.0}] * 7 + [{"value": None, "error_kind": "data"}] * 2)
    assert (value("predictions", summary).value, value("requests", summary).value) == (7.0, 9.0)
    assert value("predictions", Summary()) == Value(0.0)


def test_consumers_are_counted_and_few_of_them_exactly() -> None:
    rows: list[Row] = [{"value": 1.0, "consumer": f"team-{number % 7}"} for number in range(100)]
    found = value("consumers", health(rows))
    assert (found.value, found.low, found.n) == (7, 7, 100)
    assert value("consumers", health([{"value": 1.0}])).reason is Reason.EMPTY


@pytest.mark.parametrize("count", [50, 300, 1_000, 5_000])
def test_many_consumers_are_estimated_within_four_standard_deviations(count: int) -> None:
    share = count / 4096
    deviation = np.sqrt(4096 * (np.exp(share) - share - 1))
    found = value("consumers", health([{"value": 1.0, "consumer": f"consumer {number}"} for number in range(count)]))
    assert abs(number(found.value) - count) <= 4 * deviation + 1
    assert number(found.low) <= count <= number(found.high) + 2 * deviation


def test_more_consumers_than_can_be_told_apart_are_no_number() -> None:
    summary = Summary({"consumers": np.ones(4096, np.int64)})
    assert (value("consumers", summary).value, value("consumers", summary).reason) == (None, Reason.OVERFLOW)
