"""What of a topic belongs in the views."""

from __future__ import annotations

from infra.views import rows_of, rows_of_metrics


def test_a_record_whose_key_is_no_text_is_left_out_and_its_neighbours_are_not() -> None:
    keys, values = [b"loans|m|psi", b"\xff\xfe|m|psi", b"cards|m|psi"], [b"1", b"2", None]
    expected = [("metrics:loans", "loans|m|psi", b"1"), ("metrics:cards", "cards|m|psi", None)]
    assert rows_of_metrics(values, keys) == expected
    assert rows_of("alerts", [b"1", b"2"], [b"\x80", b"a"]) == [("alerts", "a", b"2")]
