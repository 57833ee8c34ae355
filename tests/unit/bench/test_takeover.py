"""A takeover is never measured shorter than it was."""

from __future__ import annotations

from itertools import count

import pytest

from tests.bench.watching import TooSlow, takeover_s


def test_an_output_before_the_assignment_was_seen_counts_from_the_last_look_without_it() -> None:
    ticks = count()
    assert takeover_s(lambda: False, iter([False, False, True]).__next__, 99, lambda: float(next(ticks))) == (4, 1)


def test_an_assignment_that_was_seen_counts_from_the_look_before() -> None:
    ticks, seen, came = count(), iter([False, True]), iter([False, False, False, True])
    assert takeover_s(seen.__next__, came.__next__, 99, lambda: float(next(ticks))) == (5, 4)


def test_where_nobody_takes_over_there_is_no_figure() -> None:
    ticks = count()
    with pytest.raises(TooSlow):
        takeover_s(lambda: True, lambda: False, 9, lambda: float(next(ticks)))
