"""The demo's bookings: what was known, and when."""

import hashlib

import polars as pl

from infra.demo.bookings import DATA, FEATURES, LIVE_DAY, bookings, known_before_live, live

FORBIDDEN = {
    "assigned_room_type",
    "booking_changes",
    "required_car_parking_spaces",
    "days_in_waiting_list",
    "country",
    "is_canceled",
    "reservation_status",
    "reservation_status_date",
}


def test_the_data_is_the_published_file_and_its_attribution_names_it() -> None:
    digest = hashlib.sha256(DATA.read_bytes()).hexdigest()
    said = DATA.with_name("DATA.md").read_text()
    assert digest in said
    assert "CC BY 4.0" in said
    assert "Antonio" in said


def test_there_are_as_many_bookings_as_the_source_says() -> None:
    assert (bookings().height, known_before_live().height, live().height) == (110_612, 13_543, 89_263)


def test_training_sees_nothing_that_was_not_known_on_the_evening_before_the_replay() -> None:
    assert known_before_live()["outcome"].max() < LIVE_DAY  # type: ignore[operator]  # polars' max may be of any type
    assert live()["made"].min() == LIVE_DAY


def test_no_feature_is_one_that_is_known_only_later() -> None:
    assert FORBIDDEN.isdisjoint(feature.name for feature in FEATURES)


def test_association_ids_are_the_row_numbers_and_unique() -> None:
    ids = bookings()["association_id"]
    assert ids.n_unique() == len(ids)
    assert ids.str.contains(r"^booking-\d{6}$").all()


def test_an_outcome_is_after_its_booking_and_both_are_on_the_days_of_the_file() -> None:
    frame = bookings()
    assert (frame["outcome_ms"] > frame["made_ms"]).all()
    for moment, day in (("made_ms", "made"), ("outcome_ms", "outcome")):
        assert (pl.from_epoch(frame[moment], "ms").dt.date() == frame[day]).all()


def test_only_nullable_features_are_missing_anywhere() -> None:
    required = [feature.name for feature in FEATURES if not feature.nullable]
    assert sum(bookings().select(required).null_count().row(0)) == 0


def test_the_first_bookings_are_the_first_in_time() -> None:
    first = live(1_000)
    assert first.height == 1_000
    assert first.equals(live().head(1_000))
    assert first["made_ms"].is_sorted()
