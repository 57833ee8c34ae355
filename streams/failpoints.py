"""Named points at which a fault test ends or stops this process, as a crash there would.

`WATCHKEEPER_FAIL_POINT=name:count[:stop]` kills the worker (SIGKILL; with `stop`, SIGSTOP) the count-th time that it
passes the point. Unset, a point costs one comparison.
"""

from __future__ import annotations

import os
import signal
from enum import StrEnum


class FailPoint(StrEnum):
    """Where a worker can be made to die."""

    TICK = "tick"  # before the transaction of a tick without records
    BEFORE_BEGIN = "before_begin"
    AFTER_PRODUCE = "after_produce"
    BEFORE_OFFSETS = "before_offsets"
    BEFORE_COMMIT = "before_commit"
    AFTER_COMMIT = "after_commit"
    RESTORE = "restore"
    REBALANCE = "rebalance"


class FailPoints:
    """Counts passes and ends the process when the configured one is reached."""

    __slots__ = ("_left", "_point", "_signal")

    def __init__(self, setting: str = "") -> None:
        name, _, rest = setting.partition(":")
        count, _, how = rest.partition(":")
        self._point = FailPoint(name) if name else None
        self._left = int(count or 1)
        self._signal = signal.SIGSTOP if how == "stop" else signal.SIGKILL

    def reach(self, point: FailPoint) -> None:
        """Pass a point."""
        if point is not self._point:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), self._signal)
