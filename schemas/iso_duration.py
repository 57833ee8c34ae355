"""Durations as ISO 8601 writes them, where they have a fixed length: weeks, days, hours, minutes, seconds.

Years and months are refused, as their length depends on the day they start from; so are signs, fractions of anything
but seconds, and an empty duration.
"""

from __future__ import annotations

import re

_FORM = re.compile(
    r"P(?!$)(?:(?P<weeks>\d{1,4})W|(?:(?P<days>\d{1,5})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,8})M)?(?:(?P<seconds>\d{1,9})(?:[.,](?P<ms>\d{1,3}))?S)?)?)",
    re.ASCII,
)
_MS = {"weeks": 604_800_000, "days": 86_400_000, "hours": 3_600_000, "minutes": 60_000, "seconds": 1_000}


def duration_ms(text: str) -> int:
    """The length in milliseconds; ValueError for what is no such duration, or none at all.

    >>> duration_ms("PT1H"), duration_ms("P1DT12H"), duration_ms("P2W"), duration_ms("PT0.25S")
    (3600000, 129600000, 1209600000, 250)
    >>> duration_ms("P1M")
    Traceback (most recent call last):
        ...
    ValueError: 'P1M' is no duration of a fixed length, such as "PT1H", "P1D" or "P2W"
    """
    found = _FORM.fullmatch(text)
    if found is None:
        message = f'{text!r} is no duration of a fixed length, such as "PT1H", "P1D" or "P2W"'
        raise ValueError(message)
    length = sum(int(found[name] or 0) * unit_ms for name, unit_ms in _MS.items())
    length += int((found["ms"] or "0").ljust(3, "0"))
    if not length:
        message = f"{text!r} is a duration of nothing"
        raise ValueError(message)
    return length
