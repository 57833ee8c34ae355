"""The ranking of segments: nothing is left over, and what changed comes first."""

from __future__ import annotations

from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.segment_ranking import overall, rank_segments

PARTS = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(st.integers(0, 10**6), st.floats(-1e6, 1e6, allow_nan=False)), max_size=6
)


@given(PARTS, PARTS)
def test_contributions_sum_to_the_change_of_the_mean(
    before: dict[str, tuple[int, float]], after: dict[str, tuple[int, float]]
) -> None:
    was, now = overall(before), overall(after)
    ranked = rank_segments(before, after)
    if was is None or now is None:
        assert not ranked
        return
    size = max(abs(mean) for _, mean in (*before.values(), *after.values()))
    assert fsum(one.total for one in ranked) == pytest.approx(now - was, rel=1e-9, abs=1e-9 * size)
    assert {one.segment for one in ranked} == {name for part in (before, after) for name in part if part[name][0]}
    assert [abs(one.total) for one in ranked] == sorted((abs(one.total) for one in ranked), reverse=True)


def test_a_segment_that_changed_explains_the_change_and_the_others_do_not() -> None:
    before = {"web": (500, 1.0), "app": (300, 2.0), "shop": (200, 3.0)}
    after = before | {"app": (300, 2.5)}
    first, *others = rank_segments(before, after)
    assert (first.segment, first.mix) == ("app", 0.0)
    assert first.effect == pytest.approx(0.15)
    assert all(one.total == 0 for one in others)


def test_a_new_segment_is_all_effect_and_one_that_is_gone_is_all_mix() -> None:
    ranked = {one.segment: one for one in rank_segments({"old": (10, 1.0), "all": (10, 3.0)}, {"new": (5, 9.0)})}
    assert (ranked["new"].mix, ranked["new"].effect, ranked["new"].mean_before) == (0.0, 7.0, None)
    assert (ranked["old"].effect, ranked["old"].mean_after) == (0.0, None)
    assert ranked["old"].mix == pytest.approx(0.5)
    assert sum(one.total for one in ranked.values()) == pytest.approx(9.0 - 2.0)
