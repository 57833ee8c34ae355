"""When the request came that a prediction answers, read off the value's first fields; a batch need not be decoded."""

from __future__ import annotations

import struct

from schemas.contract import FRAME_BYTES

MOST_MS = 60_000
"""A later answer counts as one after a minute: it is a replay's, and not to be waited for as long as it took."""

_RESPONSE = struct.Struct("<d")
_EXECUTION_BYTES = 8
_NUMBERS = 3
"""Before the times of execution and response: timestamp, source partition and source offset."""
_MOST_SHIFT = 63
"""No number of ours is longer: a stranger's bytes may not become one of a megabyte."""


def asked_ms(value: bytes | None, answered_ms: int) -> int:
    """Kafka's timestamp of the request; `answered_ms` is the prediction's own, and the answer where nothing is said.

    >>> from schemas.prediction import ErrorCode, encode_error
    >>> said = dict(association_id="id-1", deployment="loans", timestamp_ms=5, source_partition=0, source_offset=7)
    >>> value = encode_error(ErrorCode.BAD_TIME, "", **said, response_ms=2_500.0)
    >>> asked_ms(value, 10_000), asked_ms(value[:20], 10_000), asked_ms(None, 10_000)
    (7500, 10000, 10000)
    """
    if value is None:
        return answered_ms
    try:
        size, at = _length(value, FRAME_BYTES)
        at += size
        for _ in range(_NUMBERS):
            _, at = _length(value, at)
        (response_ms,) = _RESPONSE.unpack_from(value, at + _EXECUTION_BYTES)
    except (IndexError, struct.error):
        return answered_ms
    return answered_ms - int(min(response_ms, MOST_MS)) if response_ms >= 0 else answered_ms


def _length(value: bytes, at: int) -> tuple[int, int]:
    """A length, and where it ends; of other numbers the end alone is of use."""
    number = shift = 0
    while value[at] & 0x80:
        if shift >= _MOST_SHIFT:
            raise IndexError(at)
        number |= (value[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
    return (number | value[at] << shift) >> 1, at + 1
