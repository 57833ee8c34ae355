from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.contract import zigzag
from schemas.walk import PADDING, Bytes, Walk

if TYPE_CHECKING:
    from collections.abc import Sequence

ITEM = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "name", "type": "string"},
        {"name": "sure", "type": "boolean"},
        {"name": "numbers", "type": {"type": "array", "items": "double"}},
        {"name": "words", "type": {"type": "array", "items": "string"}},
    ],
}
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Sample",
    "fields": [
        {"name": "text", "type": "string"},
        {"name": "number", "type": "long"},
        {"name": "maybe", "type": ["null", "long"]},
        {"name": "x", "type": ["null", "double"]},
        {"name": "yes", "type": ["null", "boolean"]},
        {"name": "note", "type": ["null", "string"]},
        {"name": "items", "type": {"type": "array", "items": ITEM}},
        {"name": "last", "type": "double"},
    ],
}
PARSED = fastavro.parse_schema(SCHEMA)
WALK = Walk(SCHEMA)

longs = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-70, 70)
words = st.text(max_size=3) | st.just("x" * 64) | st.just("x" * 9000)
items = st.fixed_dictionaries(
    {
        "name": words,
        "sure": st.booleans(),
        "numbers": st.lists(st.floats(), max_size=70),
        "words": st.lists(words, max_size=3),
    }
)
records = st.fixed_dictionaries(
    {
        "text": words,
        "number": longs,
        "maybe": st.none() | longs,
        "x": st.none() | st.floats(),
        "yes": st.none() | st.booleans(),
        "note": st.none() | words,
        "items": st.lists(items, max_size=4),
        "last": st.floats(),
    }
)


def written(record: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, PARSED, record)
    return out.getvalue()


def fits(bodies: Sequence[bytes], walk: Walk = WALK) -> bool:
    joined = np.frombuffer(b"".join(bodies) + bytes(PADDING), np.uint8)
    return walk.fits(Bytes.of(joined), np.cumsum([len(body) for body in bodies], dtype=np.int64))


def canonical(body: bytes) -> bool:
    """Whether the reference reads just these bytes and would write them again."""
    stream = io.BytesIO(body)
    try:
        record: Any = fastavro.schemaless_reader(stream, PARSED, None)
        return stream.tell() == len(body) and written(record) == body
    except Exception:  # noqa: BLE001  # fastavro lets through whatever Python raised at the bad byte
        return False


@settings(deadline=None)
@given(st.lists(records, max_size=12))
def test_what_fastavro_writes_fits(rows: list[dict[str, Any]]) -> None:
    assert fits([written(row) for row in rows])


@settings(max_examples=300, deadline=None)
@given(records, st.data())
def test_damaged_bytes_fit_just_where_fastavro_would_write_them_so(record: dict[str, Any], data: st.DataObject) -> None:
    body = written(record)
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(start + 12, len(body))))
    damaged = body[:start] + data.draw(st.binary(max_size=12)) + body[end:]
    ours, theirs = fits([body, damaged, body]), canonical(damaged)
    assert ours == theirs or (ours and not _is_text(damaged))


def _is_text(body: bytes) -> bool:
    try:
        fastavro.schemaless_reader(io.BytesIO(body), PARSED, None)
    except UnicodeDecodeError:  # the decoder's to refuse, not the walk's
        return False
    return True


@settings(deadline=None)
@given(st.lists(records, min_size=2, max_size=5), st.data())
def test_values_that_are_cut_elsewhere_do_not_fit(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    bodies = [written(row) for row in rows]
    cut = data.draw(st.integers(0, len(bodies) - 2))
    moved = data.draw(st.integers(1, min(9, len(bodies[cut + 1]) - 1)))
    bodies[cut : cut + 2] = [bodies[cut] + bodies[cut + 1][:moved], bodies[cut + 1][moved:]]
    assert not fits(bodies)


LONG = Walk({"type": "record", "name": "L", "fields": [{"name": "n", "type": "long"}]})


@pytest.mark.parametrize(
    "body",
    [b"\x80\x00", b"\xff" * 9 + b"\x00", b"\xff" * 9 + b"\x02", b"\xff" * 10 + b"\x01", b"\x80", b"", b"\x00\x00"],
)
@pytest.mark.parametrize("neighbours", [[], [zigzag(3)], [zigzag(1 << 40)], [zigzag(-(1 << 63))]])
def test_a_long_that_is_not_canonical_does_not_fit(body: bytes, neighbours: list[bytes]) -> None:
    assert not fits([*neighbours, body], LONG)
    assert not fits([body, *neighbours], LONG)


@given(st.lists(longs))
def test_longs_of_any_width_fit_beside_each_other(numbers: list[int]) -> None:
    assert fits([zigzag(number) for number in numbers], LONG)
