"""Durations: what is of a fixed length is read exactly, everything else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.iso_duration import duration_ms


@given(st.integers(0, 999), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.integers(0, 999))
def test_the_parts_of_a_duration_are_added(days: int, hours: int, minutes: int, seconds: int, ms: int) -> None:
    expected = (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000 + ms
    text = f"P{days}DT{hours}H{minutes}M{seconds}.{ms:03}S"
    if expected:
        assert duration_ms(text) == expected
    else:
        with pytest.raises(ValueError, match="nothing"):
            duration_ms(text)


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "P1DT", "1H", "PT1", "P1H", "PT1D", "P1Y", "P1M", "-PT1H", "PT1.5H", "PT1H1H", "P1W1D", "pt1h"],
)
def test_what_has_no_fixed_length_or_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration_ms(text)


def test_digits_of_other_scripts_are_refused() -> None:
    with pytest.raises(ValueError, match="duration"):
        duration_ms("PT\N{ARABIC-INDIC DIGIT ONE}H")
