"""What was known at a day that is over: on the demo's real bookings, and at the edges."""

from __future__ import annotations

from datetime import date
from functools import cache

import numpy as np
import polars as pl
import pytest

from infra.demo.bookings import LIVE_DAY, bookings
from monitors.as_of import AsOf, Since, as_of, buckets_then, instant, known_at
from monitors.folds import SummaryKey, fold_outcomes, fold_predictions
from monitors.rollup import Buckets
from monitors.summary import Summary
from monitors.windows import Series
from schemas.deployment import DAY_MS, Span
from schemas.observation import Reason
from tests.unit.monitors.test_resolved import (
    AS_OF_MS,
    BATCH,
    DIGEST,
    PACKAGE,
    SERIES,
    SETTINGS,
    joined,
    predicted,
)

CUT = date(2016, 2, 29)
HORIZON_MS = SETTINGS.horizon_ms


def live() -> pl.DataFrame:
    """The bookings that the demo scores, also those made after the day."""
    chosen = bookings().filter((pl.col("made") >= LIVE_DAY) & (pl.col("made") < date(2016, 5, 1)))
    return chosen.with_row_index("offset")


def buckets(found: list[dict[SummaryKey, Summary]]) -> Buckets:
    rows = ((Series(*key[:3]), key[3], summary) for one in found for key, summary in one.items())
    return Buckets((series, start_ms, summary) for series, start_ms, summary in rows if series == SERIES)


def folded(outcomes: list[pl.DataFrame]) -> list[dict[SummaryKey, Summary]]:
    return [fold_outcomes(frame, {DIGEST: PACKAGE}, Span.DAY) for frame in outcomes]


@cache
def now() -> tuple[Buckets, tuple[pl.DataFrame, ...]]:
    """Base buckets when every outcome is in, and the log of outcomes."""
    rows = live()
    log = tuple(joined(rows, rows))
    asked = [fold_predictions(predicted(part), PACKAGE, Span.DAY) for part in rows.iter_slices(BATCH)]
    return buckets([*asked, *folded(list(log))]), log


@cache
def at_the_end_of_february() -> AsOf:
    held, log = now()
    then = buckets_then(held, folded([known_at(frame, AS_OF_MS, HORIZON_MS) for frame in log]), AS_OF_MS)
    found = as_of(then, held, SERIES, deployment="bookings", settings=SETTINGS, package=PACKAGE, as_of_ms=AS_OF_MS)
    assert found is not None
    return found


def rate() -> Since:
    return next(one for one in at_the_end_of_february().metrics if one.metric == "positive_rate")


def test_the_demo_s_bookings_come_to_what_was_known_at_the_end_of_february() -> None:
    labels = at_the_end_of_february().then.labels
    assert labels.expected == 18_706
    assert labels.coverage == pytest.approx(0.449, abs=5e-4)
    assert rate().then == pytest.approx(0.479, abs=5e-4)


def test_what_was_pending_at_the_end_of_february_turned_out_otherwise() -> None:
    assert rate().pending == pytest.approx(0.255, abs=5e-4)
    assert rate().now == pytest.approx(0.356, abs=5e-4)
    assert rate().then_n + rate().pending_n == rate().now_n == at_the_end_of_february().now.matched == 18_706
    bounds = next(one for one in at_the_end_of_february().then.metrics if one.metric == "positive_rate")
    assert bounds.reason is Reason.DELAY_BIAS
    assert bounds.lowest is not None
    assert bounds.highest is not None
    assert bounds.lowest <= (rate().now or 0.0) <= bounds.highest


def test_the_day_from_the_whole_log_is_the_day_as_if_the_log_had_ended_there() -> None:
    """Coverage of the buckets that only bookings and outcomes until the day would have made."""
    rows = live().filter(pl.col("made") <= CUT)
    asked = [fold_predictions(predicted(part), PACKAGE, Span.DAY) for part in rows.iter_slices(BATCH)]
    stopped = buckets([*asked, *folded(list(joined(rows, rows.filter(pl.col("outcome") <= CUT))))])
    found = as_of(
        stopped, stopped, SERIES, deployment="bookings", settings=SETTINGS, package=PACKAGE, as_of_ms=AS_OF_MS
    )
    assert found is not None
    then = {one.metric: one for one in at_the_end_of_february().then.metrics if "label_shift" not in one.metric}
    assert {one.metric: one for one in found.then.metrics if one.metric in then} == then
    assert (found.then.labels, found.then.delays, found.then.resolved) == (
        at_the_end_of_february().then.labels,
        at_the_end_of_february().then.delays,
        at_the_end_of_february().then.resolved,
    )
    assert all((one.pending, one.pending_n) in {(None, 0), (0.0, 0)} for one in found.metrics)


def outcome(kind: str, time_ms: int, id: str = "a") -> pl.DataFrame:  # noqa: A002  # the field's word
    rows = live().head(1).with_columns(association_id=pl.lit(id), outcome_ms=pl.lit(time_ms, pl.Int64))
    (frame,) = (frame for frame in joined(rows, rows) if frame.height)
    return frame.with_columns(kind=pl.lit(kind), timestamp_ms=pl.lit(time_ms, pl.Int64))


@pytest.mark.parametrize(
    ("kind", "time_ms", "known"),
    [
        ("matched", AS_OF_MS - 1, True),
        ("matched", AS_OF_MS, False),
        ("corrected", AS_OF_MS - 1, True),
        ("withdrawn", AS_OF_MS, False),
        ("expired", AS_OF_MS - HORIZON_MS - 1, True),
        ("expired", AS_OF_MS - HORIZON_MS, False),  # still pending then
        ("repeated", 0, False),
        ("unmatched", 0, False),
    ],
)
def test_what_was_known_goes_by_the_time_of_the_outcome_and_by_the_horizon(
    kind: str,
    time_ms: int,
    known: bool,  # noqa: FBT001  # a case
) -> None:
    assert known_at(outcome(kind, time_ms), AS_OF_MS, HORIZON_MS).height == known


def test_a_time_is_that_of_the_bucket_that_it_falls_into() -> None:
    assert instant(AS_OF_MS + 5, Span.DAY) == instant(AS_OF_MS, Span.DAY) == AS_OF_MS
    assert instant(AS_OF_MS - 1, Span.DAY) == AS_OF_MS - DAY_MS


def test_before_the_first_prediction_nothing_is_said() -> None:
    then = buckets_then(now()[0], (), 0)
    assert then.series == []
    assert as_of(then, now()[0], SERIES, deployment="bookings", settings=SETTINGS, package=PACKAGE, as_of_ms=0) is None


def test_neither_predictions_nor_outcomes_of_later_buckets_were_there() -> None:
    rows = np.array([3])
    held = Buckets([(SERIES, 0, Summary({"expected": rows})), (SERIES, DAY_MS, Summary({"expected": rows}))])
    then = buckets_then(held, [{(*SERIES, DAY_MS): Summary({"matched": rows})}], DAY_MS)
    assert [start_ms for start_ms, _ in then.each(SERIES)] == [0]
