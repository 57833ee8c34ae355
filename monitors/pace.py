"""How often a closed window that goes on changing is told again.

Late labels come for hundreds of old windows at once, all the time, and each window has dozens of metrics: told every
second they would cost more than everything else together, and nobody reads a month-old window every second.

Rules:
- A window that was not told for 5 s is told at once: who corrects one actual sees what it changed.
- Others wait, and all closed windows of a deployment share 50 turns a second: up to 50 busy windows are told every
  second, 200 every four, and none less often than every 5 s while there are turns.
- In one step (a progress record) there are 50 turns at most, for those that have waited longest, so that no batch
  becomes a long one.
- All of it follows from when each window was last told, which is in the windows' records: a restart changes nothing.
"""

from __future__ import annotations

from collections import Counter

TURNS = 50
LEAST_MS = 1_000
MOST_MS = 5_000
_SECOND_MS = 1_000


class Pace:
    """Counts the closed windows of a deployment by the second of ticks in which each was last told.

    >>> pace = Pace()
    >>> pace.count(10_000, 200)
    >>> pace.wait_ms(12_000), pace.wait_ms(60_000)
    (4000, 1000)
    """

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: Counter[int] = Counter()

    def count(self, tick_ms: int, change: int) -> None:
        """So many windows more (or, below 0, fewer) were last told at a tick."""
        second = tick_ms // _SECOND_MS
        self._told[second] += change
        if not self._told[second]:
            del self._told[second]

    def wait_ms(self, tick_ms: int) -> int:
        """How long after it was told a window waits, by how many were told in the 5 s up to now."""
        second = tick_ms // _SECOND_MS
        recent = sum(self._told[second - ago] for ago in range(MOST_MS // _SECOND_MS) if second - ago in self._told)
        return min(max(recent * _SECOND_MS // TURNS, LEAST_MS), MOST_MS)
