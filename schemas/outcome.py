"""What became of an association: its predictions beside the actual, or why they did not meet."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import msgspec
import numpy as np
import polars as pl

from schemas import encoding
from schemas.columnar import Decoded, decode, decode_framed, framings, joined
from schemas.contract import Contract, zigzag
from schemas.contracts import load
from schemas.encoding import NULL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from schemas.records import Records

CONTRACT = Contract(load("outcome"))
EARLIER = Contract(load("outcome-1"))
"""Without `was_acted_on`; still read."""
CLUSTERED = Contract(load("outcome-clustered"))
"""With `cluster`, the last field, where the prediction has one."""
Key = TypeVar("Key")


class OutcomeKind(StrEnum):
    """What happened to an association, in the order of the contract's symbols."""

    MATCHED = "matched"
    CORRECTED = "corrected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    UNMATCHED = "unmatched"
    REPEATED = "repeated"
    REJECTED = "rejected"
    FORGOTTEN = "forgotten"


class OutcomePrediction(msgspec.Struct, frozen=True):
    """What one model had said; `model` is a package digest, `shadow` marks a challenger, the time is the request's."""

    model: str
    shadow: bool
    timestamp_ms: int
    value: float | None = None
    label: str | None = None
    probabilities: tuple[float, ...] = ()
    segments: tuple[str, ...] = ()


class Outcome(msgspec.Struct, frozen=True):
    """One record of the topic.

    `revision` counts the outcomes of this association. `timestamp_ms` is the event time of the actual; for expired and
    repeated that of the prediction. `value` or `label` is the actual in effect after this record, `previous_value` or
    `previous_label` what it replaces. `was_acted_on` is the actual's, `cluster` that of the prediction that was served
    (`schemas.clusters`). Of a forgotten association there is no more than
    who predicted, and when; not even that where the join had let go of it before: then the time is that of the asking.
    """

    association_id: str
    deployment: str
    kind: OutcomeKind
    revision: int
    timestamp_ms: int
    reason: str = ""
    value: float | None = None
    label: str | None = None
    previous_value: float | None = None
    previous_label: str | None = None
    predictions: tuple[OutcomePrediction, ...] = ()
    was_acted_on: bool | None = None
    cluster: int | None = None


_LATER = {"was_acted_on": pl.Boolean(), "cluster": pl.Int64()}
"""What some contract lacks, in the order of the newest."""

_KINDS = {kind: zigzag(index) for index, kind in enumerate(OutcomeKind)}


def encode_outcomes(outcomes: Sequence[Outcome]) -> list[bytes]:
    """The values for the topic. Times are encoded as one column; what repeats is encoded once."""
    times = _times(outcomes)
    texts = _Memo(encoding.string)
    models = _Memo(_model)
    labels = _Memo(encoding.optional_string)
    segments = _Memo(encoding.string_array)
    small = _Memo(zigzag)
    double, doubles = encoding.PRESENT_DOUBLE.pack, encoding.double_array
    values = []
    for outcome in outcomes:
        parts = [
            CONTRACT.framing if outcome.cluster is None else CLUSTERED.framing,
            encoding.string(outcome.association_id),
            texts[outcome.deployment],
            _KINDS[outcome.kind],
            small[outcome.revision],
            texts[outcome.reason],
            next(times),
            NULL if outcome.value is None else double(2, outcome.value),
            labels[outcome.label],
            NULL if outcome.previous_value is None else double(2, outcome.previous_value),
            labels[outcome.previous_label],
        ]
        if outcome.predictions:
            parts.append(small[len(outcome.predictions)])
            for said in outcome.predictions:
                parts += (
                    models[said.model, said.shadow],
                    NULL if said.value is None else double(2, said.value),
                    labels[said.label],
                    doubles(said.probabilities),
                    next(times),
                    segments[said.segments],
                )
        parts += (encoding.END, encoding.optional_boolean(outcome.was_acted_on))
        if outcome.cluster is not None:
            parts.append(small[outcome.cluster])
        values.append(b"".join(parts))
    return values


def decode_outcomes(records: Records) -> Decoded:
    """Columns of the contract's fields, `timestamp_ms` for `timestamp`; `predictions` is a list of structs.

    `cluster` is null where an outcome has none.
    """
    found = framings(records.values, records.keys)  # none where it cannot tell, as where a record has no value
    for contract in (CONTRACT, CLUSTERED):
        if found == {contract.framing}:
            return _completed(decode_framed(cast("list[bytes]", records.values), records.keys, contract))
    left, parts, places = np.ones(len(records), np.bool_), [], []
    for contract in (EARLIER, CLUSTERED, CONTRACT):
        of_it = [value is not None and value.startswith(contract.framing) for value in records.values]
        rows = np.flatnonzero(left if contract is CONTRACT else of_it)
        left[rows] = False
        some = records.take(rows)
        parts.append(_completed(decode(some.values, some.keys, contract)))
        places.append(rows)
    return joined(parts, places)


def _completed(read: Decoded) -> Decoded:
    """With the columns that its contract lacks."""
    absent = [name for name in _LATER if name not in read.frame.columns]
    nothing = [pl.Series(name, [None], _LATER[name]).new_from_index(0, read.frame.height) for name in absent]
    frame = read.frame.hstack(nothing)
    return Decoded(frame, read.rows, read.mismatched, read.unreadable, read.slow_rows)


class _Memo(dict[Key, bytes], Generic[Key]):
    """Encoded forms by what they are of."""

    __slots__ = ("encode",)

    def __init__(self, encode: Callable[[Key], bytes]) -> None:
        self.encode = encode

    def __missing__(self, key: Key) -> bytes:
        self[key] = encoded = self.encode(key)
        return encoded


def _model(model: tuple[str, bool]) -> bytes:
    digest, shadow = model
    return encoding.string(digest) + bytes([shadow])


def _times(outcomes: Iterable[Outcome]) -> Iterator[bytes]:
    """All times, encoded, in the order in which they are written."""
    times = [
        time
        for outcome in outcomes
        for time in (outcome.timestamp_ms, *[said.timestamp_ms for said in outcome.predictions])
    ]
    return iter(encoding.as_list(encoding.longs(np.array(times, np.int64)), len(times)))
