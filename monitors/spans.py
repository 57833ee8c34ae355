"""Buckets of event time: where the one that holds an instant starts, and where it ends. All in UTC."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from schemas.deployment import DAY_MS, HOUR_MS, MINUTE_MS, Span

_LENGTH_MS = {Span.MINUTE: MINUTE_MS, Span.HOUR: HOUR_MS, Span.DAY: DAY_MS, Span.WEEK: 7 * DAY_MS}
_MONTH = np.timedelta64(1, "M")
_ORIGIN_MS = {Span.WEEK: -3 * DAY_MS}  # the Monday before 1970-01-01, a Thursday


def bucket_start(timestamps_ms: NDArray[np.int64], span: Span) -> NDArray[np.int64]:
    """The start (ms) of the bucket that holds each instant (ms since 1970); a single number works as well.

    Weeks start on Monday, months are calendar months.

    >>> moment = np.datetime64("2024-02-29T12:34:56", "ms").astype(np.int64)  # a Thursday
    >>> for span in Span:
    ...     print(bucket_start(moment, span).astype("M8[ms]"))
    2024-02-29T12:34:00.000
    2024-02-29T12:00:00.000
    2024-02-29T00:00:00.000
    2024-02-26T00:00:00.000
    2024-02-01T00:00:00.000
    """
    instants = np.asarray(timestamps_ms, np.int64)
    if span is Span.MONTH:
        return instants.astype("M8[ms]").astype("M8[M]").astype("M8[ms]").astype(np.int64)
    origin = _ORIGIN_MS.get(span, 0)
    length = _LENGTH_MS[span]
    return (instants - origin) // length * length + origin


def bucket_end(timestamps_ms: NDArray[np.int64], span: Span) -> NDArray[np.int64]:
    """The end (ms, exclusive) of the bucket that holds each instant (ms since 1970).

    >>> bucket_end(np.array([0, HOUR_MS]), Span.HOUR).tolist() == [HOUR_MS, 2 * HOUR_MS]
    True
    """
    if span is Span.MONTH:
        months = np.asarray(timestamps_ms, np.int64).astype("M8[ms]").astype("M8[M]")
        return (months + _MONTH).astype("M8[ms]").astype(np.int64)
    return bucket_start(timestamps_ms, span) + _LENGTH_MS[span]


def span_end(start_ms: int, span: Span) -> int:
    """The end (ms, exclusive) of the bucket that starts at `start_ms`.

    >>> span_end(0, Span.MONTH) == 31 * DAY_MS
    True
    """
    if span is Span.MONTH:
        month = np.int64(start_ms).astype("M8[ms]").astype("M8[M]")
        return int((month + _MONTH).astype("M8[ms]").astype(np.int64))
    return start_ms + _LENGTH_MS[span]
