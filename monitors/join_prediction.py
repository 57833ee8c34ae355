"""One prediction as the join remembers it: a context, which all models that answer one request share, and a body.

Little-endian:

    context  timestamp_ms i64, source_offset i64, source_partition u32, segments (MessagePack strings, or nothing)
    body     prefix (first 8 bytes of the package's digest), flags u8, numbers f64 ..., label in UTF-8 as the rest

Flags of a body: 1 shadow, 2 value, 4 label, 8 two probabilities [1 - p, p] of which p is stored, 16 the value is p and
not stored again, 32 other probabilities: their count u32 and all of them, bit for bit. The order is: probabilities,
value, label.
"""

from __future__ import annotations

import struct
from struct import Struct

import msgspec

PREFIX_BYTES = 8
BODY_BYTES = 9
CONTEXT_BYTES = 20
"""The least length of a body and of a context."""

SHADOW, VALUE, LABEL, BINARY, SAME, MANY = 1, 2, 4, 8, 16, 32
"""Flags of a body."""

_ORIGIN = Struct("<qqI")
_BODY = Struct("<8sB")
_BODY_1 = Struct("<8sBd")
_FLOAT = Struct("<d")
_TIME = Struct("<q")
_COUNT = Struct("<I")

_encode_strings = msgspec.msgpack.Encoder().encode
_decode_strings = msgspec.msgpack.Decoder(tuple[str, ...]).decode

Packed = tuple[bytes, bytes]
"""Body and context of one prediction."""

Said = tuple[bytes, bool, float | None, str | None, tuple[float, ...]]
"""Prefix of the digest, shadow, value, label, probabilities (empty for none)."""

Origin = tuple[int, tuple[str, ...]]
"""Event time in milliseconds, and segments."""


class JoinFormatError(ValueError):
    """The bytes are not a state of the join, or one of a newer format than this program knows."""


def broken(why: object) -> JoinFormatError:
    """The exception for bytes that `why` says something about."""
    return JoinFormatError(f"not a state of the join: {why}")


def pack_context(timestamp_ms: int, source_offset: int, source_partition: int, segments: tuple[str, ...]) -> bytes:
    """What the predictions of one request have in common."""
    return _ORIGIN.pack(timestamp_ms, source_offset, source_partition) + pack_segments(segments)


def pack_segments(segments: tuple[str, ...]) -> bytes:
    """The end of a context."""
    return _encode_strings(segments) if segments else b""


def pack_body(
    prefix: bytes, value: float | None, label: str | None, probabilities: list[float] | None, *, shadow: bool
) -> bytes:
    """What one model said."""
    flags = (SHADOW if shadow else 0) | (0 if value is None else VALUE) | (0 if label is None else LABEL)
    tail = b"" if label is None else label.encode()
    if probabilities and len(probabilities) == 2 and probabilities[0] == 1.0 - probabilities[1]:  # noqa: PLR2004
        positive = probabilities[1]
        if value == positive:
            return _BODY_1.pack(prefix, flags | BINARY | SAME, value) + tail
        head = _BODY_1.pack(prefix, flags | BINARY, positive)
    elif probabilities:
        count = len(probabilities)
        head = _BODY.pack(prefix, flags | MANY) + struct.pack(f"<I{count}d", count, *probabilities)
    else:
        head = _BODY.pack(prefix, flags)
    return head + (b"" if value is None else _FLOAT.pack(value)) + tail


def unpack_context(context: bytes) -> Origin:
    """When the request was, and its segments.

    >>> unpack_context(pack_context(1_700_000_000_000, 5, 0, ("carrier=AA",)))
    (1700000000000, ('carrier=AA',))
    """
    try:
        (timestamp_ms,) = _TIME.unpack_from(context)
        return timestamp_ms, _decode_strings(context[CONTEXT_BYTES:]) if len(context) > CONTEXT_BYTES else ()
    except (struct.error, msgspec.MsgspecError) as error:
        raise broken(error) from error


def unpack_body(body: bytes) -> Said:
    """What `pack_body` was told.

    >>> unpack_body(pack_body(b"12345678", 0.25, "late", [0.75, 0.25], shadow=False))
    (b'12345678', False, 0.25, 'late', (0.75, 0.25))
    """
    value: float | None
    try:
        prefix, flags = _BODY.unpack_from(body)
        if flags & SAME:  # what nearly every binary prediction is
            (value,) = _FLOAT.unpack_from(body, BODY_BYTES)
            label = body[BODY_BYTES + 8 :].decode() if flags & LABEL else None
            return prefix, flags & SHADOW != 0, value, label, (1.0 - value, value)
        at = BODY_BYTES
        probabilities: tuple[float, ...] = ()
        if flags & BINARY:
            (positive,), at = _FLOAT.unpack_from(body, at), at + 8
            probabilities = (1.0 - positive, positive)
        elif flags & MANY:
            (count,) = _COUNT.unpack_from(body, at)
            probabilities = struct.unpack_from(f"<{count}d", body, at + 4)
            at += 4 + 8 * count
        value = None
        if flags & VALUE:
            (value,), at = _FLOAT.unpack_from(body, at), at + 8
        label = body[at:].decode() if flags & LABEL else None
    except (struct.error, UnicodeDecodeError) as error:
        raise broken(error) from error
    return prefix, bool(flags & SHADOW), value, label, probabilities


def rank(packed: Packed) -> tuple[int, int, int, int]:
    """The least of a model's predictions is its first: by source offset, then partition; the served before a shadow."""
    body, context = packed
    timestamp_ms, offset, partition = _ORIGIN.unpack_from(context)
    return offset, partition, body[PREFIX_BYTES] & SHADOW, timestamp_ms


def newest_ms(predictions: list[Packed]) -> int:
    """Event time of the newest of some predictions."""
    times: list[int] = [_TIME.unpack_from(context)[0] for _, context in predictions]
    return max(times)
