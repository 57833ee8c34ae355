"""What the join remembers of one (deployment, association ID), packed.

The key is `deployment NUL association ID` in UTF-8. The value is canonical (equal states, equal bytes):

    version u8 = 1 | sized truth | predictions

    truth        revision u32, timestamp_ms i64 (little-endian), answer: the actual in effect; nothing where there never
                 was one
    answer       value and label in Avro as the contract of an outcome has them; nothing where it was withdrawn;
                 was_acted_on likewise after them, where it is not null
    predictions  nothing, or u8 0 and for each model, by prefix: sized context, body (`monitors.join_prediction`)
                 or u8 1, sized context, bodies, where all have the same context, as those of one request do

A pending ID of a binary deployment with champion and two challengers, labels "no" and "yes" and one segment of 17
characters takes 118 bytes and its key 23; with the actual 136.
"""

from __future__ import annotations

import struct
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from monitors.join_prediction import (
    BODY_BYTES,
    CONTEXT_BYTES,
    LONG,
    MODEL_BYTES,
    JoinFormatError,
    Packed,
    broken,
    pack_body,
    read_sized,
    sized,
    unpack_answer_at,
    unpack_body,
)
from schemas import encoding

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = 1

OWN, SHARED = b"\x00", b"\x01"
"""How predictions begin: each with its context, or one context for all."""
WAITING = bytes((VERSION, 0))
"""How the value of an entry begins that never had an actual; what follows are its predictions."""

FORGET = b"\xff"
"""In the place of an answer: the association is to be forgotten."""

_ACTED = (encoding.optional_boolean(False), encoding.optional_boolean(True))  # noqa: FBT003  # one argument, and its name says it
_HEAD = bytes((VERSION,))
_TRUTH = Struct("<Iq")


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


def pack_answer(value: float | None, label: str | None, was_acted_on: bool | None = None) -> bytes:  # noqa: FBT001  # as the record
    """The body of an actual; two actuals are the same where these bytes are."""
    acted = b"" if was_acted_on is None else _ACTED[was_acted_on]
    return encoding.optional_double(value) + encoding.optional_string(label) + acted


def split_answer(answer: bytes) -> tuple[bytes, bytes]:
    r"""Value and label of an actual, and was_acted_on, each as the contract of an outcome has it.

    >>> split_answer(pack_answer(None, "late", True))
    (b'\x00\x02\x08late', b'\x02\x01')
    """
    if not answer.endswith(_ACTED):
        return answer, encoding.NULL
    *_, end = _answer_at(answer)
    return answer[:end], answer[end:] or encoding.NULL


def unpack_answer(answer: bytes) -> tuple[float | None, str | None]:
    """Value and label of an actual; neither for one that was withdrawn.

    >>> unpack_answer(pack_answer(None, "late"))
    (None, 'late')
    """
    if not answer:
        return None, None
    value, label, _ = _answer_at(answer)
    return value, label


def was_acted_on(answer: bytes) -> bool | None:
    """Whether somebody acted on the prediction, as the actual says; None where it does not.

    >>> was_acted_on(pack_answer(0.5, None, False)), was_acted_on(pack_answer(0.5, None))
    (False, None)
    """
    _, acted = split_answer(answer)
    return None if acted == encoding.NULL else acted == _ACTED[True]


def _answer_at(answer: bytes) -> tuple[float | None, str | None, int]:
    try:
        return unpack_answer_at(answer, 0)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise broken(error) from error


def pack_predictions(predictions: list[Packed]) -> bytes:
    """Predictions of different models, in any order."""
    if not predictions:
        return b""
    contexts = {context for _, context in predictions}
    if len(contexts) > 1:
        return OWN + b"".join([sized(context) + body for body, context in sorted(predictions)])
    return SHARED + sized(contexts.pop()) + b"".join([body for body, _ in sorted(predictions)])


def without_answers(data: bytes) -> bytes:
    """Of packed predictions who made them and when, and nothing of what they said."""
    kept = []
    for body, context in unpack_predictions(data):
        prefix, shadow, *_ = unpack_body(body)
        kept.append((pack_body(prefix, None, None, None, shadow=shadow), context))
    return pack_predictions(kept)


def unpack_predictions(data: bytes) -> list[Packed]:
    """The predictions in order; JoinFormatError for what `pack_predictions` did not write."""
    if not data:
        return []
    predictions = []
    try:
        at, end = 1, len(data)
        shared = data[:1] == SHARED
        if not shared and data[:1] != OWN:
            raise broken(f"predictions of shape {data[0]}")
        context = b""
        if shared:
            context, at = read_sized(data, at, CONTEXT_BYTES)
        while at < end:
            if not shared:
                context, at = read_sized(data, at, CONTEXT_BYTES)
            start = at
            _, at = read_sized(data, at + MODEL_BYTES)
            predictions.append((data[start:at], context))
    except (struct.error, IndexError) as error:
        raise broken(error) from error
    if not predictions:
        raise broken("a context without predictions")
    return predictions


def merge_predictions(some: bytes, others: bytes) -> bytes | None:
    """Both together, where they are of one request and of different models; None where they are not, or are unusual."""
    if not some or not others:
        return some or others
    try:
        at = some[1] + 2
        if some[:at] != others[:at] or some[0] != SHARED[0] or some[1] == LONG:
            return None
        bodies = _bodies(some, at) + _bodies(others, at)
    except (struct.error, IndexError):
        return None
    bodies.sort()
    models = {body[: MODEL_BYTES - 1] for body in bodies}
    return some[:at] + b"".join(bodies) if len(models) == len(bodies) else None


def _bodies(data: bytes, at: int) -> list[bytes]:
    """The bodies from a place to the end."""
    bodies, end = [], len(data)
    while at < end:
        size = data[at + MODEL_BYTES]
        last = at + BODY_BYTES + size if size < LONG else read_sized(data, at + MODEL_BYTES)[1]
        bodies.append(data[at:last])
        at = last
    return bodies


def encode(truth: Truth | None, predictions: bytes) -> bytes:
    """The value of an entry, of what `pack_predictions` gave."""
    if truth is None:
        return WAITING + predictions
    return _HEAD + sized(_TRUTH.pack(truth[0], truth[1]) + truth[2]) + predictions


def first_truths(timestamps_ms: NDArray[np.int64], answers: list[bytes]) -> list[bytes]:
    """How the value of an entry begins after the first actual, of the time and the answer of each."""
    if not answers:
        return []
    if max(map(len, answers)) + _TRUTH.size >= LONG:
        begins = [Truth(0, time_ms, answer) for time_ms, answer in zip(timestamps_ms.tolist(), answers, strict=True)]
        return [encode(truth, b"") for truth in begins]
    sizes = _TRUTH.size + np.fromiter(map(len, answers), np.int64, len(answers))
    times = np.ascontiguousarray(timestamps_ms, "<i8").view(np.uint8).reshape(len(answers), 8)
    return encoding.assemble([_HEAD, sizes.astype(np.uint8)[:, None], bytes(4), times, answers], len(answers))


def decode(data: bytes) -> tuple[Truth | None, bytes]:
    """The entry that `encode` wrote, for `unpack_predictions` to look into; JoinFormatError for anything else."""
    if data[:1] != _HEAD:
        raise _other_version(data)
    if data[1:2] == b"\0":
        return None, data[2:]
    try:
        packed, at = read_sized(data, 1, _TRUTH.size)
        revision, timestamp_ms = _TRUTH.unpack_from(packed)
        return Truth(revision, timestamp_ms, packed[_TRUTH.size :]), data[at:]
    except (struct.error, IndexError) as error:
        raise broken(error) from error


def _other_version(data: bytes) -> JoinFormatError:
    if data and data[0] > VERSION:
        return JoinFormatError(
            f"join state format {data[0]} is newer than this program's {VERSION}; upgrade the worker"
        )
    return broken("it is of no format that ever was")
