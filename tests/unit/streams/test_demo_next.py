"""What the demo suggests afterwards can be done with what was replayed."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.text import Text

from infra.demo.bookings import live
from streams.cli._demo_next import activation, look_around


def said(*day: int) -> str:
    return look_around("p", int(datetime(*day, 12, tzinfo=UTC).timestamp() * 1_000))  # type: ignore[misc, arg-type]  # a tuple of a date's numbers


def test_of_two_years_every_hint_is_shown() -> None:
    text = said(2017, 8, 30)
    for words in ("--as-of 2016-03-01", "metrics booking-price --window month --compare year", "segments booking-c"):
        assert words in text
    assert text.count("--compare year") == 2


def test_a_year_ago_is_not_suggested_before_there_is_one() -> None:
    text = said(2016, 5, 8)
    assert "--compare year" not in text
    assert "metrics booking-price --window month --compare previous" in text
    assert "--as-of 2016-03-01" in text


def test_of_one_month_weeks_are_compared_and_the_day_asked_for_is_over() -> None:
    made = live(3_000)["made_ms"].max()
    assert isinstance(made, int)
    text = look_around("p", made)
    last = datetime.fromtimestamp(made / 1_000, UTC).date().isoformat()
    asked = text.partition("--as-of ")[2][:10]
    assert "2015-12-02" < asked < last
    assert "month" not in text
    assert text.count("--window week --compare previous") == 2


def test_the_prefix_is_told() -> None:
    assert "WATCHKEEPER_PREFIX=p" in said(2016, 5, 8)
    assert "activate" not in said(2016, 5, 8)


def test_an_environment_that_is_not_activated_is_activated_first() -> None:
    text = look_around("p", 0, "/clone/my [x] venv/bin/activate")
    assert text.index("activate") < text.index("WATCHKEEPER_PREFIX=p") < text.index("watchkeeper up")
    assert ". '/clone/my [x] venv/bin/activate'" in Text.from_markup(text).plain


def test_only_an_environment_that_is_not_activated_has_a_script_to_activate_it() -> None:
    venv, system = "/clone/.venv", "/usr"
    assert activation(venv, system, "", here="/clone") == ".venv/bin/activate"
    assert activation(venv, system, "/other", here="/home") == "/clone/.venv/bin/activate"
    assert activation(venv, system, venv, here="/clone") == ""
    assert activation(system, system, "", here="/clone") == ""
