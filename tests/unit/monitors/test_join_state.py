"""The packed state: round trips, size, and bytes that are not ours."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors import join_columns
from monitors.join_prediction import JoinFormatError, pack_body, pack_context, unpack_body, unpack_context
from monitors.join_state import (
    Truth,
    decode,
    encode,
    pack_answer,
    pack_key,
    pack_predictions,
    split_answer,
    unpack_answer,
    unpack_key,
    unpack_predictions,
    was_acted_on,
)
from schemas.encoding import optional_boolean
from tests.unit.monitors.join_scene import CHALLENGER, KEY, OTHER_CHALLENGER, Actual, Joiner, Prediction

NUMBERS = st.floats(allow_nan=False)
LABELS = st.none() | st.text(max_size=300)
BINARY = st.floats(0, 1).map(lambda p: [1.0 - p, p])
PROBABILITIES: st.SearchStrategy[list[float]] = st.just([]) | BINARY | st.lists(NUMBERS, min_size=1, max_size=5)
PREFIXES = st.binary(min_size=8, max_size=8)
LONGS = st.integers(-(2**63), 2**63 - 1)
SEGMENTS = st.lists(st.text(max_size=90), max_size=4).map(tuple)
CONTEXTS = st.builds(pack_context, LONGS, LONGS, st.integers(0, 2**21 - 1), SEGMENTS, st.none() | st.integers(0, 1_023))
BODIES = st.builds(pack_body, PREFIXES, st.none() | NUMBERS, LABELS, PROBABILITIES, shadow=st.booleans())
ACTED = st.none() | st.booleans()
ANSWERS = st.just(b"") | st.builds(pack_answer, st.none() | NUMBERS, LABELS, ACTED)
TRUTHS = st.none() | st.builds(Truth, st.integers(0, 2**32 - 1), LONGS, ANSWERS)
PREDICTIONS = st.lists(st.tuples(BODIES, CONTEXTS), max_size=4, unique_by=lambda packed: packed[0][:8])


@given(prefix=PREFIXES, value=st.none() | NUMBERS, label=LABELS, probabilities=PROBABILITIES, shadow=st.booleans())
def test_a_prediction_is_unpacked_as_it_was(
    prefix: bytes, value: float | None, label: str | None, probabilities: list[float], *, shadow: bool
) -> None:
    body = pack_body(prefix, value, label, probabilities, shadow=shadow)
    alone = len(probabilities) == 2 and probabilities == [1.0 - probabilities[1], value]
    assert unpack_body(body) == (prefix, shadow, value, label, () if alone else tuple(probabilities))


@given(LONGS, SEGMENTS)
def test_a_context_is_unpacked_as_it_was(timestamp_ms: int, segments: tuple[str, ...]) -> None:
    assert unpack_context(pack_context(timestamp_ms, 1, 2, segments)) == (timestamp_ms, segments)


@given(st.none() | NUMBERS, LABELS | st.sampled_from(["\x02", "\x02\x01", "\x02\x00"]), ACTED)
def test_an_answer_is_unpacked_as_it_was(value: float | None, label: str | None, acted: bool | None) -> None:  # noqa: FBT001  # an example's value
    answer = pack_answer(value, label, acted)
    assert (unpack_answer(answer), was_acted_on(answer)) == ((value, label), acted)
    assert split_answer(answer) == (pack_answer(value, label), optional_boolean(acted))


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_a_key_is_unpacked_as_it_was(deployment: str, association_id: str) -> None:
    assert unpack_key(pack_key(deployment, association_id)) == (deployment, association_id)


@given(TRUTHS, PREDICTIONS)
def test_an_entry_is_decoded_as_it_was_whatever_the_order(
    truth: Truth | None, predictions: list[tuple[bytes, bytes]]
) -> None:
    stored = encode(truth, pack_predictions(predictions))
    assert stored == encode(truth, pack_predictions(predictions[::-1]))
    decoded, packed = decode(stored)
    assert decoded == truth
    assert unpack_predictions(packed) == sorted(predictions)


@given(TRUTHS, PREDICTIONS.filter(bool), st.data())
def test_a_cut_entry_is_refused_or_shorter(
    truth: Truth | None, predictions: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    stored = encode(truth, pack_predictions(predictions))
    cut = data.draw(st.integers(0, len(stored) - 1))
    try:
        decoded, packed = decode(stored[:cut])
        assert len(unpack_predictions(packed)) < len(predictions)
        assert decoded == truth
    except JoinFormatError:
        pass


@given(st.binary(max_size=80))
def test_any_bytes_are_an_entry_or_refused(data: bytes) -> None:
    try:
        truth, packed = decode(b"\x01" + data)
        for body, context in unpack_predictions(packed):
            unpack_body(body)
            unpack_context(context)
        if truth is not None:
            unpack_answer(truth.answer)
    except JoinFormatError:
        pass


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x01", b"\x01\x05abc", b"\x01\x03abc"])
def test_what_is_too_short_or_of_no_format_is_refused(data: bytes) -> None:
    with pytest.raises(JoinFormatError):
        decode(data)


def test_a_newer_format_is_refused_in_words() -> None:
    with pytest.raises(JoinFormatError, match="format 2 is newer than this program's 1"):
        decode(b"\x02\x00")


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["00" * 32, "ff" * 32, "0123456789abcdef" * 4]),
        st.none() | NUMBERS.filter(bool),
        LABELS,
        PROBABILITIES,
        st.booleans(),
        st.booleans(),
        LONGS,
        SEGMENTS,
    ),
    max_size=6,
)


@settings(deadline=None)
@given(ROWS)
def test_columns_are_packed_as_rows_are(
    rows: list[tuple[str, float | None, str | None, list[float], bool, bool, int, tuple[str, ...]]],
) -> None:
    values = [
        probabilities[-1] if same and probabilities else value for _, value, _, probabilities, _, same, _, _ in rows
    ]
    frame = pl.DataFrame(
        {
            "model": pl.Series([row[0] for row in rows], dtype=pl.String),
            "value": pl.Series(values, dtype=pl.Float64),
            "label": pl.Series([row[2] for row in rows], dtype=pl.String),
            "probabilities": pl.Series([row[3] for row in rows], dtype=pl.List(pl.Float64)),
            "shadow": pl.Series([row[4] for row in rows], dtype=pl.Boolean),
            "timestamp_ms": pl.Series([row[6] for row in rows], dtype=pl.Int64),
            "source_offset": pl.Series([7 for _ in rows], dtype=pl.Int64),
            "cluster": pl.Series([None for _ in rows], dtype=pl.Int64),
            "source_partition": pl.Series([3 for _ in rows], dtype=pl.Int32),
            "segments": pl.Series([list(row[7]) for row in rows], dtype=pl.List(pl.String)),
        }
    )
    assert join_columns.bodies(frame, *join_columns.models(frame)) == [
        pack_body(join_columns.prefix_of(row[0]), value, row[2], row[3], shadow=row[4])
        for row, value in zip(rows, values, strict=True)
    ]
    contexts = join_columns.contexts(frame)
    assert [contexts.of(row) for row in range(len(rows))] == [pack_context(row[6], 7, 3, row[7]) for row in rows]


def test_a_pending_id_of_a_binary_deployment_with_two_challengers_takes_little() -> None:
    joiner = Joiner()
    row = Prediction(id="a" * 15, segments=("carrier=AA1234567",))
    joiner.step(
        row,
        *(
            Prediction(row.id, other.model, 0.75, shadow=True, segments=row.segments)
            for other in (CHALLENGER, OTHER_CHALLENGER)
        ),
    )
    ((key, value),) = joiner.table.items()
    assert (len(key), len(value)) == (23, 118)
    joiner.step(Actual(id=row.id))
    assert len(joiner.table[key]) == 136
    assert KEY not in joiner.table
