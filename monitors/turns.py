"""Which windows are looked at in one step, when one is over, and when it may speak.

Rules:
- A window is over by event time when the watermark has passed its end and the grace; of arrivals, when all of their
  topic was read until its end and the allowance.
- Every open window that is due is looked at. It speaks at most once a second of ticks, and always at its close.
- A closed window speaks at the pace of `monitors.pace`; of many those first that have waited longest.
- Silence is counted in either direction: a clock that was set back must not silence a window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import nsmallest

from monitors.pace import TURNS
from monitors.timeliness import ARRIVALS, allowance_ms
from monitors.whole import package_of
from monitors.window_book import WindowBook
from monitors.windows import Window, WindowId
from schemas.deployment import Settings
from schemas.observation import Kind
from schemas.package import Package

EMIT_EVERY_MS = 1_000
_FOR_EVER_MS = 1 << 62


def is_over(window_id: WindowId, settings: Settings, watermark: int | None, read_ms: Mapping[Kind, int | None]) -> bool:
    """Whether a window may close; `read_ms`: until when all that came was read, by kind of arrivals."""
    if window_id.series.kind in ARRIVALS:
        until_ms = read_ms[window_id.series.kind]
        wait_ms = allowance_ms(settings, window_id.end_ms - window_id.start_ms)
        return until_ms is not None and until_ms >= window_id.end_ms + wait_ms
    return watermark is not None and watermark >= window_id.end_ms + settings.grace_ms


def with_a_turn(
    windows: WindowBook, packages: Callable[[str], Package | None], tick_ms: int, wait_ms: int
) -> list[WindowId]:
    """The windows to look at: every open one, and of the closed ones that may speak those that have waited longest."""
    opened = [window_id for window_id in windows.due if not windows.windows[window_id].closed]
    ready = [
        (-_silent_ms(window, tick_ms), window_id)
        for window_id in windows.due
        if (window := windows.windows[window_id]).closed and may_speak(window, tick_ms, wait_ms)
    ]
    if len(ready) > TURNS:
        ready = nsmallest(TURNS, (each for each in ready if package_of(packages, each[1].series.model)))
    return opened + [window_id for _, window_id in ready]


def may_speak(window: Window, tick_ms: int, wait_ms: int) -> bool:
    """Whether there is something to say and it was silent for long enough; `wait_ms`: of closed ones."""
    least_ms = wait_ms if window.closed else EMIT_EVERY_MS
    return window.dirty and _silent_ms(window, tick_ms) >= least_ms


def _silent_ms(window: Window, tick_ms: int) -> int:
    return abs(tick_ms - window.tick_ms) if window.tick_ms is not None else _FOR_EVER_MS
