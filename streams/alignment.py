"""Which of the records in hand make a batch, for a role whose inputs belong together: those of one stretch of time.

Under a backlog one answer of the broker is thousands of records of one partition. Taken as they come, a prediction, its
challengers and its actual are in different batches: each is a read and a write of the table, and an actual that is
ahead of its predictions makes outcomes that are soon taken back. So of partitions of one number, those that are ahead
wait for the others, by Kafka's timestamps; a prediction's is that of its request (`Role.moment`).

What is taken changes no result but that of a forget (a law of the join), only what it costs. So little waits for long:
a partition at its end holds up nobody, and one that is silent for `PATIENCE_S` though not known to be at its end holds
up nobody either until it speaks again. Of those that are not at their ends the one that is behind is taken whole: there
is progress. And actuals that speak but stay behind (a backfill of old ones) do not hold up predictions until they are
drained: of which nothing was taken for `PATIENCE_S` all in hand is taken, again after each `PATIENCE_S`. Actuals do
wait for predictions that are behind: a forget among them is of what was predicted before it, and must not overtake it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, Generic, TypeVar

from schemas.topics import Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from streams.role import Place

PATIENCE_S = 2.0
Held = TypeVar("Held")


class Alignment(Generic[Held]):
    """Cuts what is in hand; `time_of` is a record's time. It remembers since when what waits."""

    def __init__(self, time_of: Callable[[Held], int], patience_s: float = PATIENCE_S) -> None:
        self._time_of, self._patience_s = time_of, patience_s
        self._since: dict[int, float] = {}  # that a partition of this number is silent
        self._waiting: dict[Place, float] = {}  # that nothing of this partition was taken

    def cuts(self, found: Mapping[Place, Sequence[Held]], growing: Collection[Place], now_s: float) -> dict[Place, int]:
        """How many records of each of `found` to take, which are in log order; `growing` are not known to have ended.

        >>> from schemas.topics import Topic
        >>> alignment = Alignment[int](lambda time: time)
        >>> ahead, behind = (Topic.ACTUALS, 0), (Topic.PREDICTIONS, 0)
        >>> list(alignment.cuts({ahead: [1, 2, 3, 9], behind: [1, 3]}, {ahead, behind}, 0.0).values())
        [3, 2]
        >>> alignment.cuts({ahead: [9]}, {ahead, behind}, 0.0), alignment.cuts({ahead: [9]}, {ahead}, 0.1)
        ({(<Topic.ACTUALS: 'actuals'>, 0): 0}, {(<Topic.ACTUALS: 'actuals'>, 0): 1})
        """
        numbers: defaultdict[int, list[Place]] = defaultdict(list)
        for place in found:
            numbers[place[1]].append(place)
        lacking = {place[1] for place in growing if not found.get(place)}
        counts: dict[Place, int] = {}
        for number, places in numbers.items():
            if number not in lacking:
                self._since.pop(number, None)
            elif now_s - self._since.setdefault(number, now_s) < self._patience_s:
                counts |= self._patient(dict.fromkeys(places, 0), found, now_s)
                continue
            counts |= self._patient(self._cut({place: found[place] for place in places}, growing), found, now_s)
        self._waiting = {
            place: self._waiting.get(place, now_s) for place, count in counts.items() if not count and found[place]
        }
        return counts

    def _patient(
        self, counts: dict[Place, int], found: Mapping[Place, Sequence[Held]], now_s: float
    ) -> dict[Place, int]:
        """The counts of one number; where predictions have waited too long, all in hand of those: they go together."""
        waiting = [place for place, count in counts.items() if not count and place[0] is not Topic.ACTUALS]
        if any(now_s - self._waiting.get(place, now_s) >= self._patience_s for place in waiting):
            counts |= {place: len(found[place]) for place in waiting}
        return counts

    def _cut(self, found: dict[Place, Sequence[Held]], growing: Collection[Place]) -> dict[Place, int]:
        lasts = {place: self._time_of(some[-1]) for place, some in found.items() if some and place in growing}
        if not lasts:
            return {place: len(some) for place, some in found.items()}
        behind = min(lasts, key=lasts.__getitem__)
        return {
            place: len(some) if place == behind else bisect_right(some, lasts[behind], key=self._time_of)
            for place, some in found.items()
        }
