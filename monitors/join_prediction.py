"""One prediction as the join remembers it: a context, which all models that answer one request share, and a body.

    context  timestamp_ms i64, source_offset i64, origin u32 (little-endian), segments
    origin   source_partition in the low 21 bits, in the high ones 0 or the cluster's cell + 1 (`schemas.clusters`)
    body     prefix (first 8 bytes of the package's digest), shadow u8, sized: value, label, probabilities
    sized    length u8 and the bytes; 255: a u32 (little-endian) with the length follows

Segments, value, label and probabilities are in Avro as the contract of an outcome has them, so that they go to the wire
as they lie. Where there are two probabilities [1 - p, p] and the value is p, there are none in the body: the value says
it all. Bodies in the order of their bytes are in the order of their models.
"""

from __future__ import annotations

import struct
from struct import Struct

from schemas import encoding

PREFIX_BYTES = 8
MODEL_BYTES = 9
"""Prefix and shadow."""
BODY_BYTES = 10
CONTEXT_BYTES = 20
"""The least length of a body and of a context."""
CLUSTER_BIT = 21
PARTITIONS = (1 << CLUSTER_BIT) - 1
"""Where the cluster begins in an origin, and what is before it."""
ORIGIN_AT = 16
LONG = 255
"""The length that says that the real one follows."""

_ORIGIN = Struct("<qqI")
_TIME = Struct("<q")
_NUMBER = Struct("<I")
_DOUBLE = Struct("<d")
_LENGTHS = [bytes((size,)) for size in range(LONG)]

Packed = tuple[bytes, bytes]
"""Body and context of one prediction."""

Said = tuple[bytes, bool, float | None, str | None, tuple[float, ...]]
"""Prefix of the digest, shadow, value, label, probabilities (empty for none, and where the value says it all)."""

Origin = tuple[int, tuple[str, ...]]
"""Event time in milliseconds, and segments."""


class JoinFormatError(ValueError):
    """The bytes are not a state of the join, or one of a newer format than this program knows."""


def broken(why: object) -> JoinFormatError:
    """The exception for bytes that `why` says something about."""
    return JoinFormatError(f"not a state of the join: {why}")


def sized(part: bytes) -> bytes:
    """A part after its length."""
    size = len(part)
    return _LENGTHS[size] + part if size < LONG else b"\xff" + _NUMBER.pack(size) + part


def read_sized(data: bytes, at: int, least: int = 0) -> tuple[bytes, int]:
    """A sized part at a place and where it ends; IndexError, struct.error or JoinFormatError where there is none."""
    size, at = data[at], at + 1
    if size == LONG:
        (size,), at = _NUMBER.unpack_from(data, at), at + 4
    end = at + size
    if size < least or end > len(data):
        raise broken(f"{size} bytes at {at} of {len(data)}")
    return data[at:end], end


def pack_context(
    timestamp_ms: int, source_offset: int, source_partition: int, segments: tuple[str, ...], cluster: int | None = None
) -> bytes:
    """What the predictions of one request have in common."""
    origin = source_partition & PARTITIONS | (0 if cluster is None else cluster + 1) << CLUSTER_BIT
    return _ORIGIN.pack(timestamp_ms, source_offset, origin) + encoding.string_array(segments)


def cluster_of(context: bytes) -> int | None:
    """What the request belongs to, where its deployment declared that.

    >>> [cluster_of(pack_context(0, 5, 3, (), cluster)) for cluster in (None, 0, 1_023)]
    [None, 0, 1023]
    """
    (origin,) = _NUMBER.unpack_from(context, ORIGIN_AT)
    return (origin >> CLUSTER_BIT) - 1 if origin >> CLUSTER_BIT else None


def pack_body(
    prefix: bytes, value: float | None, label: str | None, probabilities: list[float] | None, *, shadow: bool
) -> bytes:
    """What one model said."""
    told = probabilities or []
    if len(told) == 2 and told[0] == 1.0 - told[1] and value == told[1]:  # noqa: PLR2004  # two classes
        told = []
    said = encoding.optional_double(value) + encoding.optional_string(label) + encoding.double_array(told)
    return prefix + (b"\x01" if shadow else b"\x00") + sized(said)


def unpack_context(context: bytes) -> Origin:
    """When the request was, and its segments.

    >>> unpack_context(pack_context(1_700_000_000_000, 5, 0, ("carrier=AA",)))
    (1700000000000, ('carrier=AA',))
    """
    try:
        (timestamp_ms,) = _TIME.unpack_from(context)
        count, at = _read_long(context, CONTEXT_BYTES)
        segments = []
        for _ in range(count):
            text, at = _read_string(context, at)
            segments.append(text)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise broken(error) from error
    return timestamp_ms, tuple(segments)


def unpack_body(body: bytes) -> Said:
    """What `pack_body` was told.

    >>> unpack_body(pack_body(b"12345678", 0.25, "late", [0.75, 0.25], shadow=False))
    (b'12345678', False, 0.25, 'late', ())
    """
    try:
        said, _ = read_sized(body, MODEL_BYTES)
        value, label, at = unpack_answer_at(said, 0)
        count, at = _read_long(said, at)
        probabilities = struct.unpack_from(f"<{count}d", said, at)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise broken(error) from error
    return body[:PREFIX_BYTES], body[PREFIX_BYTES] != 0, value, label, probabilities


def unpack_answer_at(data: bytes, at: int) -> tuple[float | None, str | None, int]:
    """An optional double and an optional string, and where they end."""
    value = label = None
    present, at = data[at], at + 1
    if present:
        (value,), at = _DOUBLE.unpack_from(data, at), at + 8
    present, at = data[at], at + 1
    if present:
        label, at = _read_string(data, at)
    return value, label, at


def rank(packed: Packed) -> tuple[int, int, int, int]:
    """The least of a model's predictions is its first: by source offset, then partition; the served before a shadow."""
    body, context = packed
    timestamp_ms, offset, origin = _ORIGIN.unpack_from(context)
    return offset, origin & PARTITIONS, body[PREFIX_BYTES], timestamp_ms


def newest_ms(predictions: list[Packed]) -> int:
    """Event time of the newest of some predictions."""
    times: list[int] = [_TIME.unpack_from(context)[0] for _, context in predictions]
    return max(times)


def _read_long(data: bytes, at: int) -> tuple[int, int]:
    """An Avro length and where it ends."""
    number = shift = 0
    while data[at] & 0x80:
        number |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
    number |= data[at] << shift
    if number > len(data) << 1:
        raise broken(f"a length of {number >> 1} in {len(data)} bytes")
    return number >> 1, at + 1


def _read_string(data: bytes, at: int) -> tuple[str, int]:
    size, at = _read_long(data, at)
    if at + size > len(data):
        raise broken(f"{size} bytes at {at} of {len(data)}")
    return data[at : at + size].decode(), at + size
