"""What time it is in a partition, by its records: one wrong clock among the senders must not expire everything."""

from __future__ import annotations

from collections import deque
from statistics import median_low
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

WINDOW = 1000


class EventClock:
    """The median event time of the last 1,000 accepted records; of an even number the lower of the two in the middle.

    It depends on the records alone, and goes back when they do. It says nothing before `least` records: after a restart
    the first few may be of the only wrong clock.

    >>> clock = EventClock()
    >>> clock.update([1000, 9_999_999_999, 3000])
    >>> clock.now()
    3000
    """

    __slots__ = ("_least", "_times_ms")

    def __init__(self, least: int = 1) -> None:
        self._least = least
        self._times_ms: deque[int] = deque(maxlen=WINDOW)

    def update(self, timestamps_ms: Iterable[int]) -> None:
        """Event times of accepted records in milliseconds, in record order."""
        self._times_ms.extend(timestamps_ms)

    def now(self) -> int | None:
        """Event time in milliseconds; None before the first `least` records."""
        return median_low(self._times_ms) if len(self._times_ms) >= self._least else None
