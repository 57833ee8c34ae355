"""The bookings as they became known: when each was made, what was known then, when its outcome was, and what it was.

Rules:
- A booking is made on its arrival date minus its lead time; its outcome is known on its reservation status date.
- What is in a column of `FEATURES` was known when the booking was made (DATA.md says what was not).
- The file knows days only; times within the day are spread by the row number, so that every run has the same ones. The
  outcome comes after the booking, also on the same day.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

import polars as pl

from schemas.package import Feature, FeatureType

DATA = Path(__file__).with_name("hotel_bookings.csv.gz")
FIRST_DAY = date(2015, 7, 1)
LIVE_DAY = date(2015, 12, 1)
"""Bookings made before it (with outcomes before it) train the models; those made from it on are replayed."""

FEATURES = (
    Feature("hotel", FeatureType.CATEGORICAL),
    Feature("lead_time"),
    Feature("arrival_week"),
    Feature("weekend_nights"),
    Feature("week_nights"),
    Feature("adults"),
    Feature("children", nullable=True),
    Feature("babies"),
    Feature("meal", FeatureType.CATEGORICAL),
    Feature("market_segment", FeatureType.CATEGORICAL),
    Feature("distribution_channel", FeatureType.CATEGORICAL),
    Feature("repeated_guest", FeatureType.BOOLEAN),
    Feature("previous_cancellations"),
    Feature("previous_stays"),
    Feature("room_type", FeatureType.CATEGORICAL),
    Feature("deposit_type", FeatureType.CATEGORICAL),
    Feature("by_agent", FeatureType.BOOLEAN),
    Feature("by_company", FeatureType.BOOLEAN),
    Feature("customer_type", FeatureType.CATEGORICAL),
    Feature("special_requests"),
    Feature("adr"),
)

_RENAMED = {
    "arrival_date_week_number": "arrival_week",
    "stays_in_weekend_nights": "weekend_nights",
    "stays_in_week_nights": "week_nights",
    "is_repeated_guest": "repeated_guest",
    "previous_bookings_not_canceled": "previous_stays",
    "reserved_room_type": "room_type",
    "total_of_special_requests": "special_requests",
}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_TYPES = {
    FeatureType.NUMERIC: pl.Float64(),
    FeatureType.CATEGORICAL: pl.String(),
    FeatureType.TEXT: pl.String(),
    FeatureType.BOOLEAN: pl.Boolean(),
}
_DAY_MS = 86_400_000
_LATEST_MS = 82_800_000  # bookings end at 23:00, so that there is room for an outcome on the same day
_SPREAD = 2_654_435_761  # Knuth's multiplicative hash: neighbours in the file are far apart in the day


@cache
def bookings() -> pl.DataFrame:
    """All bookings made from `FIRST_DAY` on, in the order in which they were made.

    Columns: association_id, made_ms and outcome_ms (since 1970), made and outcome (days), copy_of (the first row with
    the same content), is_canceled ("false" or "true"), reservation_status, and one for each of `FEATURES`, adr too.
    """
    raw = pl.read_csv(DATA, null_values=["NULL", "NA"], infer_schema_length=None)
    numbered = raw.with_columns(row=pl.int_range(pl.len())).with_columns(copy_of=pl.col("row").min().over(raw.columns))
    arrival = pl.date("arrival_date_year", _month(), "arrival_date_day_of_month")
    dated = numbered.rename(_RENAMED).with_columns(
        made=arrival - pl.duration(days="lead_time"),
        outcome=pl.col("reservation_status_date").str.to_date(),
        by_agent=pl.col("agent").is_not_null(),
        by_company=pl.col("company").is_not_null(),
    )
    chosen = dated.filter(pl.col("made") >= FIRST_DAY).select(
        association_id=pl.format("booking-{}", pl.col("row").cast(pl.String).str.zfill(6)),
        made_ms=_made_ms(),
        outcome_ms=_outcome_ms(),
        made="made",
        outcome="outcome",
        copy_of="copy_of",
        is_canceled=pl.when(pl.col("is_canceled") == 1).then(pl.lit("true")).otherwise(pl.lit("false")),
        reservation_status="reservation_status",
        **{feature.name: pl.col(feature.name).cast(_TYPES[feature.type]) for feature in FEATURES},
    )
    return chosen.sort("made_ms", "association_id")


def known_before_live() -> pl.DataFrame:
    """What a team could train on at the evening before `LIVE_DAY`: bookings whose outcome was in."""
    return bookings().filter((pl.col("made") < LIVE_DAY) & (pl.col("outcome") < LIVE_DAY))


def live(count: int | None = None) -> pl.DataFrame:
    """The bookings to replay, those made from `LIVE_DAY` on; the first `count` of them."""
    made = bookings().filter(pl.col("made") >= LIVE_DAY)
    return made if count is None else made.head(count)


def _month() -> pl.Expr:
    return pl.col("arrival_date_month").replace_strict(_MONTHS, range(1, 13), return_dtype=pl.Int8)


def _made_ms() -> pl.Expr:
    return pl.col("made").cast(pl.Datetime("ms")).cast(pl.Int64) + _made_of_day_ms()


def _made_of_day_ms() -> pl.Expr:
    return pl.col("row") * _SPREAD % _LATEST_MS


def _outcome_ms() -> pl.Expr:
    spread = (pl.col("row") + 1) * _SPREAD
    after_booking = _made_of_day_ms() + 1 + spread % (_DAY_MS - 1 - _made_of_day_ms())
    of_day = pl.when(pl.col("made") == pl.col("outcome")).then(after_booking).otherwise(spread % _DAY_MS)
    return pl.col("outcome").cast(pl.Datetime("ms")).cast(pl.Int64) + of_day
