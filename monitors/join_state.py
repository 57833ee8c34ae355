"""What the join remembers of one (deployment, association ID), packed.

The key is `deployment NUL association ID` in UTF-8. The value, little-endian, is canonical (equal states, equal bytes):

    version u8 = 1 | sized truth | predictions

    truth        revision u32, timestamp_ms i64, answer: the actual in effect; nothing where there never was one
    answer       flags u8 (1: value, 2: label), f64 value, label in UTF-8; nothing where it was withdrawn
    predictions  nothing, or u8 0 and for each model, by prefix: sized context, sized body (`monitors.join_prediction`)
                 or u8 1, sized context, sized bodies, where all have the same context, as those of one request do
    sized        length u8 and the bytes; 255: a u32 with the length follows

A pending ID of a binary deployment with champion and two challengers, labels "no" and "yes" and one segment of 17
characters takes 105 bytes and its key 23; with the actual 121.
"""

from __future__ import annotations

import struct
from struct import Struct
from typing import NamedTuple

from monitors.join_prediction import BODY_BYTES, CONTEXT_BYTES, JoinFormatError, Packed, broken

VERSION = 1

_OWN, _SHARED = b"\x00", b"\x01"
_VALUE, _LABEL = 1, 2
_LONG = 255
_LENGTHS = [bytes((size,)) for size in range(_LONG)]
_HEAD = bytes((VERSION,))
_TRUTH = Struct("<Iq")
_LENGTH = Struct("<I")
_FLOAT = Struct("<d")


class Truth(NamedTuple):
    """The actual in effect.

    `revision` counts the changes of the answer from 0; `answer` is empty where it was withdrawn. `timestamp_ms` is when
    the wait for an answer ended: of the first actual, or the first after a withdrawal. A correction does not move it.
    """

    revision: int
    timestamp_ms: int
    answer: bytes


def pack_key(deployment: str, association_id: str) -> bytes:
    """The key of an entry. Deployment names have no NUL, so that it is unambiguous."""
    return f"{deployment}\0{association_id}".encode()


def unpack_key(key: bytes) -> tuple[str, str]:
    """Deployment and association ID.

    >>> unpack_key(pack_key("flights", "AA-17"))
    ('flights', 'AA-17')
    """
    deployment, _, association_id = key.decode().partition("\0")
    return deployment, association_id


def pack_answer(value: float | None, label: str | None) -> bytes:
    """The body of an actual; two actuals are the same where these bytes are."""
    flags = (0 if value is None else _VALUE) | (0 if label is None else _LABEL)
    numbers = b"" if value is None else _FLOAT.pack(value)
    return bytes((flags,)) + numbers + (b"" if label is None else label.encode())


def unpack_answer(answer: bytes) -> tuple[float | None, str | None]:
    """Value and label of an actual; neither for one that was withdrawn.

    >>> unpack_answer(pack_answer(None, "late"))
    (None, 'late')
    """
    if not answer:
        return None, None
    try:
        flags, at, value = answer[0], 1, None
        if flags & _VALUE:
            (value,), at = _FLOAT.unpack_from(answer, 1), 9
        return value, answer[at:].decode() if flags & _LABEL else None
    except (struct.error, UnicodeDecodeError) as error:
        raise broken(error) from error


def pack_predictions(predictions: list[Packed]) -> bytes:
    """Predictions of different models, in any order."""
    if not predictions:
        return b""
    contexts = {context for _, context in predictions}
    if len(contexts) > 1:
        return _OWN + b"".join([_sized(context) + _sized(body) for body, context in sorted(predictions)])
    return _SHARED + _sized(contexts.pop()) + b"".join([_sized(body) for body, _ in sorted(predictions)])


def unpack_predictions(data: bytes) -> list[Packed]:
    """The predictions in order; JoinFormatError for what `pack_predictions` did not write."""
    if not data:
        return []
    predictions = []
    try:
        at, end = 1, len(data)
        shared = data[0] == _SHARED[0]
        if not shared and data[0] != _OWN[0]:
            raise broken(f"predictions of shape {data[0]}")
        context = b""
        if shared:
            context, at = _read(data, at, CONTEXT_BYTES)
        while at < end:
            if not shared:
                context, at = _read(data, at, CONTEXT_BYTES)
            start = at + 1
            body = data[start : start + data[at]]
            if BODY_BYTES <= data[at] == len(body) < _LONG:  # `_read` without a call
                at = start + len(body)
            else:
                body, at = _read(data, at, BODY_BYTES)
            predictions.append((body, context))
    except (struct.error, IndexError) as error:
        raise broken(error) from error
    if not predictions:
        raise broken("a context without predictions")
    return predictions


def encode(truth: Truth | None, predictions: bytes) -> bytes:
    """The value of an entry, of what `pack_predictions` gave."""
    if truth is None:
        return _HEAD + b"\0" + predictions
    return _HEAD + _sized(_TRUTH.pack(truth[0], truth[1]) + truth[2]) + predictions


def decode(data: bytes) -> tuple[Truth | None, bytes]:
    """The entry that `encode` wrote, for `unpack_predictions` to look into; JoinFormatError for anything else."""
    if data[:1] != _HEAD:
        raise _other_version(data)
    if data[1:2] == b"\0":
        return None, data[2:]
    try:
        packed, at = _read(data, 1, _TRUTH.size)
        revision, timestamp_ms = _TRUTH.unpack_from(packed)
        return Truth(revision, timestamp_ms, packed[_TRUTH.size :]), data[at:]
    except (struct.error, IndexError) as error:
        raise broken(error) from error


def _sized(part: bytes) -> bytes:
    size = len(part)
    return _LENGTHS[size] + part if size < _LONG else b"\xff" + _LENGTH.pack(size) + part


def _read(data: bytes, at: int, least: int) -> tuple[bytes, int]:
    size, at = data[at], at + 1
    if size == _LONG:
        (size,), at = _LENGTH.unpack_from(data, at), at + 4
    end = at + size
    if size < least or end > len(data):
        raise broken(f"{size} bytes at {at} of {len(data)}")
    return data[at:end], end


def _other_version(data: bytes) -> JoinFormatError:
    if data and data[0] > VERSION:
        return JoinFormatError(
            f"join state format {data[0]} is newer than this program's {VERSION}; upgrade the worker"
        )
    return broken("it is of no format that ever was")
