"""Changes of the join as outcomes: as records to look at, and, for the topic, straight from the packed form to Avro.

Both say the same: `encode_changes` gives the bytes that `schemas.outcome.encode_outcomes` gives of `outcome_of` each
change (a law test), by columns, as what a model said is written as it lies in the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitors.join_prediction import (
    BODY_BYTES,
    CLUSTER_BIT,
    MODEL_BYTES,
    ORIGIN_AT,
    PREFIX_BYTES,
    cluster_of,
    unpack_body,
    unpack_context,
)
from monitors.join_slices import RARE, Laid, bodies, lay
from monitors.join_state import split_answer, unpack_answer, unpack_key, unpack_predictions, was_acted_on
from schemas import encoding
from schemas.contract import zigzag
from schemas.outcome import CLUSTERED, CONTRACT, Outcome, OutcomeKind, OutcomePrediction, encode_outcomes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from monitors.join_entry import Change
    from monitors.join_slices import Longs
    from schemas.encoding import Piece

_KINDS = {kind: zigzag(index) for index, kind in enumerate(OutcomeKind)}
_NO_ANSWER = encoding.NULL * 2
_TIME_AT = 2
_SEGMENTS_AT = 22
"""Where packed predictions of one request have its time and its segments."""


class UnknownModelError(LookupError):
    """A stored prediction is of a model whose package is not known here: the packages must be read further."""


def outcome_of(change: Change, digests: Mapping[bytes, str]) -> Outcome:
    """The outcome that a change is."""
    predictions = []
    clusters: dict[bool, int | None] = {}
    for body, context in unpack_predictions(change.predictions):
        prefix, shadow, value, label, probabilities = unpack_body(body)
        clusters.setdefault(shadow, cluster_of(context))
        time_ms, segments = unpack_context(context)
        model = _model(prefix, digests)
        predictions.append(OutcomePrediction(model, shadow, time_ms, value, label, probabilities, segments))
    deployment, association_id = unpack_key(change.key)
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
        was_acted_on=was_acted_on(change.answer),
        cluster=clusters.get(False, clusters.get(True)),
    )


def encode_changes(changes: Sequence[Change], digests: Mapping[bytes, str]) -> tuple[list[bytes], list[bytes]]:
    """Association IDs and values for the topic; UnknownModelError as `outcome_of`."""
    if not changes:
        return [], []
    keys = [change.key.partition(b"\0") for change in changes]
    laid = lay([change.predictions for change in changes])
    counts, places = bodies(laid)
    counts[laid.starts == laid.ends] = 0
    cells = np.where(counts > 0, laid.numbers(laid.starts + _TIME_AT + ORIGIN_AT) >> CLUSTER_BIT, 0) - 1
    values = [b""] * len(changes)
    forms = 2 * counts + (cells >= 0)
    for form in np.unique(forms).tolist():
        count, clustered = form >> 1, form & 1
        rows = np.flatnonzero(forms == form)
        some = changes if rows.size == len(changes) else [changes[row] for row in rows.tolist()]
        if count == RARE:
            encoded = encode_outcomes([outcome_of(change, digests) for change in some])
        else:
            said = _said(laid, laid.starts[rows], [at[rows] for at in places[:count]], digests)
            theirs = keys if some is changes else [keys[row] for row in rows.tolist()]
            *head, acted = _heads(some, theirs)
            tail = [encoding.longs(cells[rows])] if clustered else []
            framing = CLUSTERED.framing if clustered else CONTRACT.framing
            encoded = encoding.assemble([framing, *head, *said, encoding.END, acted, *tail], len(some))
        if len(encoded) == len(values):
            values = encoded
        else:
            for row, value in zip(rows.tolist(), encoded, strict=True):
                values[row] = value
    return [association_id for _, _, association_id in keys], values


def _heads(changes: Sequence[Change], keys: Sequence[tuple[bytes, bytes, bytes]]) -> Iterator[Piece]:
    """The fields before the predictions, and at last the one after them; `keys` are theirs in parts."""
    _, kinds, revisions, times_ms, answers, previous, _, reasons = zip(*changes, strict=True)
    names, _, ids = zip(*keys, strict=True)
    yield _lengths(ids)
    yield list(ids)
    yield _lengths(names)
    yield _same(names)
    yield _KINDS[kinds[0]] if kinds.count(kinds[0]) == len(kinds) else [_KINDS[kind] for kind in kinds]
    yield _same([zigzag(revision) for revision in revisions]) if any(revisions) else zigzag(0)
    yield _same([encoding.string(reason) for reason in reasons]) if any(reasons) else encoding.END
    yield encoding.longs(np.array(times_ms, np.int64))
    said, acted = _answers(answers)
    yield said
    yield _answers(previous)[0] if any(previous) else _NO_ANSWER
    yield acted


def _answers(answers: Sequence[bytes]) -> tuple[Piece, Piece]:
    """Value and label of actuals, and was_acted_on; classes are few, so that each distinct one is looked into once."""
    known = {answer: split_answer(answer) for answer in set(answers)}
    if not any(acted != encoding.NULL for _, acted in known.values()):
        return _same([answer or _NO_ANSWER for answer in answers]), encoding.NULL
    said, acted = zip(*map(known.__getitem__, answers), strict=True)
    return _same([answer or _NO_ANSWER for answer in said]), _same(acted)


def _said(laid: Laid, starts: Longs, places: list[Longs], digests: Mapping[bytes, str]) -> Iterator[Piece]:
    """What each model said, of changes with predictions of as many models each."""
    if not places:
        return
    yield zigzag(len(places))
    context_ends = starts + _TIME_AT + laid.octets[starts + 1]
    segments = _same(laid.parts(starts + _SEGMENTS_AT, context_ends))
    request = encoding.assemble([encoding.longs(laid.longs(starts + _TIME_AT)), segments], starts.size)
    for at in places:
        yield _models(laid, at, digests)
        yield laid.parts(at + BODY_BYTES, at + BODY_BYTES + laid.octets[at + MODEL_BYTES])
        yield request


def _models(laid: Laid, at: Longs, digests: Mapping[bytes, str]) -> Piece:
    """Digests and whether they are of challengers; mostly the same model in every row."""
    heads = laid.matrix(at, MODEL_BYTES)
    if (heads == heads[0]).all():
        return _encoded_model(heads[0].tobytes(), digests)
    rows = encoding.as_list(heads, at.size)
    known = {head: _encoded_model(head, digests) for head in set(rows)}
    return [known[head] for head in rows]


def _encoded_model(head: bytes, digests: Mapping[bytes, str]) -> bytes:
    return encoding.string(_model(head[:PREFIX_BYTES], digests)) + head[PREFIX_BYTES:]


def _lengths(texts: Sequence[bytes]) -> Piece:
    """The length of each text, encoded."""
    known = {length: zigzag(length) for length in set(map(len, texts))}
    return _same([known[len(text)] for text in texts]) if len(known) > 1 else next(iter(known.values()))


def _same(rows: Sequence[bytes]) -> Piece:
    """A constant where all rows are the same."""
    return rows[0] if rows.count(rows[0]) == len(rows) else list(rows)


def _model(prefix: bytes, digests: Mapping[bytes, str]) -> str:
    model = digests.get(prefix)
    if model is None:
        raise UnknownModelError(f"no known package has a digest that starts with {prefix.hex()}")
    return model
