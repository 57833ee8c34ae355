"""Event times as clients write them in JSON: milliseconds since 1970, or RFC 3339."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

Written = int | str | None
"""A JSON value that may be a time."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999; what is beyond is no time, as half of the world's libraries cannot say it."""


def event_ms(written: object) -> int | None:
    """Milliseconds since 1970; None for what is no time. A date and time without an offset is none.

    >>> event_ms("1970-01-01T00:00:01.5Z"), event_ms(1500), event_ms("yesterday"), event_ms("1970-01-01T00:00:00")
    (1500, 1500, None, None)
    """
    if isinstance(written, int) and not isinstance(written, bool):
        return written if FIRST_MS <= written <= LAST_MS else None
    if not isinstance(written, str):
        return None
    try:
        moment = msgspec.convert(written, datetime)
    except msgspec.ValidationError:
        return None
    return None if moment.tzinfo is None else (moment - _EPOCH) // _MILLISECOND
