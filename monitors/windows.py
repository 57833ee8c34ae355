"""What a window of a deployment is: of which series, from when to when, and what is known to have been said of it.

Rules:
- A window is a view: the sum of the base buckets of a series that start inside it.
- Arrivals have a window for each slot in which something is expected; all others follow the calendar, by the settings.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np

from monitors.spans import bucket_start, span_end
from monitors.timeliness import slot_ms
from schemas.deployment import Settings, Span
from schemas.observation import Kind, Status

BUCKET = b"b"
"""The kind of key under which base buckets are stored."""

READ_BY_BUCKET = frozenset({Kind.PAIRS, Kind.LOSSES})
"""Kinds whose buckets are read by other rules than windows'."""


class Series(NamedTuple):
    """Buckets and windows that follow each other: one kind, model and segment."""

    kind: Kind
    model: str
    segment: str


class WindowId(NamedTuple):
    """One window of a series; the end tells a day from the week that starts with it."""

    start_ms: int
    end_ms: int
    series: Series


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """A value that an alert rule may look at, as last emitted.

    `at_risk`: of a drift statistic that some rule judges by its own thresholds, the first of those as they were then.
    """

    value: float | None
    low: float | None
    baseline: float | None
    n: int
    status: Status | None = None
    borderline: bool = False
    at_risk: float | None = None


class Window(msgspec.Struct, array_like=True):
    """What was said about a window.

    `tick_ms`: of the last emission. `counted`: the row counts it rested on. `emitted`: digest of each metric's content,
    empty of one that it has no more. `readings`: for the alert rules, of closed windows. Both by "metric/feature".
    `came_true`: whether its actuals were as expected, None while that is not known; `trusted`: whether its estimates
    were said to hold, None where it has none to show. `resolved`: of a protected group, whether outcomes were taken to
    be in; None of all others. `silent`: nothing was ever told of it, but alerts.
    """

    dirty: bool = True
    closed: bool = False
    revision: int = 0
    tick_ms: int | None = None
    counted: tuple[int, ...] = ()
    emitted: dict[str, bytes] = {}
    readings: dict[str, Reading] = {}
    came_true: bool | None = None
    trusted: bool | None = None
    resolved: bool | None = None
    silent: bool = False


def window_span(settings: Settings, kind: Kind) -> Span:
    """The length of the windows in which a kind is evaluated."""
    return settings.accuracy_window if kind in (Kind.ACCURACY, Kind.OUTCOMES) else settings.drift_window


@lru_cache(maxsize=4096)
def window_of(bucket_ms: int, span: Span) -> tuple[int, int]:
    """Start and end of the window that holds a bucket."""
    start_ms = int(bucket_start(np.asarray(bucket_ms, np.int64), span))
    return start_ms, span_end(start_ms, span)


def window_at(bucket_ms: int, settings: Settings, kind: Kind) -> tuple[int, int]:
    """Start and end of the window that holds a bucket of a kind; arrivals have a window for each slot."""
    length_ms = slot_ms(settings, kind)
    if length_ms is not None:
        return bucket_ms, bucket_ms + length_ms
    return window_of(bucket_ms, window_span(settings, kind))
