"""Changes of the join as outcomes: as records to look at, and, for the topic, straight from the packed form to Avro.

Both say the same: `encode_changes` gives the bytes that `schemas.outcome.encode_outcomes` gives of `outcome_of` each
change (a law test), in a third of the time, as what nearly every prediction holds is written as it lies in the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitors.join_prediction import (
    BINARY,
    BODY_BYTES,
    CONTEXT_BYTES,
    LABEL,
    MANY,
    PREFIX_BYTES,
    SAME,
    SHADOW,
    VALUE,
    unpack_body,
    unpack_context,
)
from monitors.join_state import unpack_answer, unpack_key
from schemas import encoding
from schemas.contract import zigzag
from schemas.outcome import CONTRACT, Outcome, OutcomeKind, OutcomePrediction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from monitors.join_entry import Change
    from monitors.join_prediction import Packed

    Keyed = tuple[bytes, Change]

_KINDS = {kind: zigzag(index) for index, kind in enumerate(OutcomeKind)}
_BOOLEANS = (b"\x00", b"\x01")
_NUMBER_END = BODY_BYTES + 8


class UnknownModelError(LookupError):
    """A stored prediction is of a model whose package is not known here: the packages must be read further."""


def outcome_of(key: bytes, change: Change, digests: Mapping[bytes, str]) -> Outcome:
    """The outcome that a change of the entry with this key is."""
    predictions = []
    for body, context in change.predictions:
        prefix, shadow, value, label, probabilities = unpack_body(body)
        if body[PREFIX_BYTES] & SAME:
            probabilities = ()  # the value says it all
        time_ms, segments = unpack_context(context)
        model = _model(prefix, digests)
        predictions.append(OutcomePrediction(model, shadow, time_ms, value, label, probabilities, segments))
    deployment, association_id = unpack_key(key)
    return Outcome(
        association_id,
        deployment,
        change.kind,
        change.revision,
        change.timestamp_ms,
        change.reason,
        *unpack_answer(change.answer),
        *unpack_answer(change.previous),
        predictions=tuple(predictions),
    )


def encode_changes(changes: Sequence[Keyed], digests: Mapping[bytes, str]) -> tuple[list[bytes], list[bytes]]:
    """Association IDs and values for the topic; UnknownModelError as `outcome_of`."""
    if not changes:
        return [], []
    encoder = _Encoder(digests)
    times = _longs(change.timestamp_ms for _, change in changes)
    whens = iter(_request_times(changes))
    ids, values = [], []
    for (key, change), time in zip(changes, times, strict=True):
        name, _, association_id = key.partition(b"\0")
        kind, revision, _, answer, previous, packed, reason = change
        parts = [
            CONTRACT.framing,
            zigzag(len(association_id)),
            association_id,
            zigzag(len(name)),
            name,
            _KINDS[kind],
            zigzag(revision),
            encoding.string(reason) if reason else encoding.END,
            time,
            encoder.answer(answer),
            encoder.answer(previous),
        ]
        if packed:
            parts.append(zigzag(len(packed)))
            encoder.predictions(parts, packed, next(whens))
        parts.append(encoding.END)
        ids.append(association_id)
        values.append(b"".join(parts))
    return ids, values


class _Encoder:
    """Encoded forms of what repeats within a batch."""

    def __init__(self, digests: Mapping[bytes, str]) -> None:
        self._digests = digests
        self._models: dict[bytes, bytes] = {}
        self._labels: dict[bytes, bytes] = {}
        self._segments: dict[bytes, bytes] = {b"": encoding.END}
        self._answers: dict[bytes, bytes] = {b"": encoding.NULL + encoding.NULL}

    def answer(self, answer: bytes) -> bytes:
        """Value and label of an actual."""
        known = self._answers.get(answer)
        if known is None:
            value, label = unpack_answer(answer)
            known = self._answers[answer] = encoding.optional_double(value) + encoding.optional_string(label)
        return known

    def predictions(self, parts: list[bytes], packed: list[Packed], when: bytes) -> None:
        """Append what each model said; `when` is the encoded time of the first one's request."""
        first = packed[0][1]
        segments = self._segments_of(first[CONTEXT_BYTES:])
        for body, context in packed:
            head, flags = body[:BODY_BYTES], body[PREFIX_BYTES]
            said = self._models.get(head)
            if said is None:
                shadow = _BOOLEANS[bool(flags & SHADOW)]
                said = self._models[head] = encoding.string(_model(head[:PREFIX_BYTES], self._digests)) + shadow
            parts.append(said)
            if flags & SAME or flags & (VALUE | BINARY | MANY) == VALUE:  # a number and perhaps a label, as it lies
                parts += (encoding.PRESENT, body[BODY_BYTES:_NUMBER_END])
                parts += (self._label(body[_NUMBER_END:]) if flags & LABEL else encoding.NULL, encoding.END)
            else:
                _, _, value, label, probabilities = unpack_body(body)
                parts += (encoding.optional_double(value), encoding.optional_string(label))
                parts.append(encoding.double_array(probabilities))
            if context == first:
                parts += (when, segments)
            else:
                time_ms, own = unpack_context(context)
                parts += (zigzag(time_ms), encoding.string_array(own))

    def _label(self, text: bytes) -> bytes:
        known = self._labels.get(text)
        if known is None:
            known = self._labels[text] = encoding.PRESENT + zigzag(len(text)) + text
        return known

    def _segments_of(self, tail: bytes) -> bytes:
        known = self._segments.get(tail)
        if known is None:
            _, segments = unpack_context(bytes(CONTEXT_BYTES) + tail)
            known = self._segments[tail] = encoding.string_array(segments)
        return known


def _request_times(changes: Sequence[Keyed]) -> list[bytes]:
    """The encoded request time of each change that has predictions."""
    firsts = b"".join([change.predictions[0][1][:8] for _, change in changes if change.predictions])
    return _longs(np.frombuffer(firsts, "<i8").tolist())


def _longs(numbers: Iterable[int]) -> list[bytes]:
    column = np.fromiter(numbers, np.int64)
    return encoding.as_list(encoding.longs(column), column.size) if column.size else []


def _model(prefix: bytes, digests: Mapping[bytes, str]) -> str:
    model = digests.get(prefix)
    if model is None:
        raise UnknownModelError(f"no known package has a digest that starts with {prefix.hex()}")
    return model
