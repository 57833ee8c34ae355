"""What time it is in a partition, by its records: one wrong clock among the senders must not expire everything.

Nor must an input that runs ahead: what waits is not given up while an input that is behind may still bring its partner.
"""

from __future__ import annotations

from collections import defaultdict, deque
from statistics import median_low
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Input = TypeVar("Input")

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


class InputClocks(Generic[Input]):
    """The time of a partition with several inputs: that of all records, but not later than one has got that is behind.

    Nothing is said before all of them together, and each that is behind, have had `least` records.

    >>> clocks = InputClocks[str]()
    >>> clocks.update({"predictions": [5000, 6000, 7000], "actuals": [1000]})
    >>> clocks.now(behind=()), clocks.now(behind={"actuals"}), clocks.now(behind={"shadows"})
    (5000, 1000, None)
    """

    __slots__ = ("_all", "_each")

    def __init__(self, least: int = 1) -> None:
        self._all = EventClock(least)
        self._each: defaultdict[Input, EventClock] = defaultdict(lambda: EventClock(least))

    def update(self, timestamps_ms: Mapping[Input, Sequence[int]]) -> None:
        """Event times of accepted records in milliseconds, by input, in record order."""
        for name, times_ms in timestamps_ms.items():
            self._all.update(times_ms)
            self._each[name].update(times_ms)

    def now(self, behind: Iterable[Input]) -> int | None:
        """Event time in milliseconds, where these inputs are not at their ends; None where one has said too little."""
        said = [self._all.now(), *(self._each[name].now() for name in behind)]
        known = [time_ms for time_ms in said if time_ms is not None]
        return min(known) if len(known) == len(said) else None
