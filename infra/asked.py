"""How many requests a deployment had, as its metrics say."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.observation import Metric


def asked(metrics: Iterable[Metric]) -> int:
    """The requests of all windows of a deployment, segments apart; of each window the greatest count that is told.

    A model counts what it scored, and so not all where the champion was replaced; of `unanswered` n is all that came.

    >>> from schemas.observation import Metric
    >>> said = [Metric("loans", "m1", "requests", 0, 1, 60), Metric("loans", "", "unanswered", 0, 1, 100)]
    >>> asked(said)
    100
    """
    by_window: Counter[int] = Counter()
    for one in metrics:
        if one.metric in {"requests", "unanswered"} and not one.segment:
            by_window[one.window_start_ms] = max(by_window[one.window_start_ms], one.n)
    return by_window.total()
