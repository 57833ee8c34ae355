from __future__ import annotations

from monitors.attribution_ranking import Ranked, ranked
from schemas.observation import Metric, Reason


def said(name: str, feature: str, value: float | None, baseline: float | None = None) -> Metric:
    reason = Reason.ZERO_DENOMINATOR if value is None else None
    return Metric("loans", "m", name, 0, 1, 10, feature=feature, value=value, baseline=baseline, reason=reason)


def test_the_heaviest_comes_first_with_where_it_was_on_holdout() -> None:
    found = ranked(
        [
            said("attribution_share", "age", 0.2, 0.5),
            said("attribution_share", "plan", 0.7, 0.3),
            said("attribution_share", "income", 0.1, 0.2),
            said("attribution_mean", "plan", -0.25),
            said("attribution_drift", "", 0.4),
            said("psi", "age", 0.4),
        ]
    )
    assert [(one.feature, one.rank, one.rank_before) for one in found] == [
        ("plan", 1, 2),
        ("age", 2, 1),
        ("income", 3, 3),
    ]
    assert found[0] == Ranked("plan", 0.7, 1, None, None, 0.3, 2, -0.25)


def test_without_a_holdout_there_is_a_rank_now_and_none_before() -> None:
    (one,) = ranked([said("attribution_share", "age", 1.0)])
    assert (one.rank, one.rank_before, one.before, one.mean) == (1, None, None, None)


def test_equal_shares_come_by_name() -> None:
    found = ranked([said("attribution_share", name, 0.5) for name in ("b", "a")])
    assert [one.feature for one in found] == ["a", "b"]


def test_where_nothing_is_explained_nobody_is_ranked() -> None:
    assert ranked([said("attribution_share", "age", None), said("psi", "age", 0.1)]) == []
