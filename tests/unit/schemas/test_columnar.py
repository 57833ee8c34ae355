from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.columnar import decode
from schemas.contract import Contract, schema_id, zigzag
from schemas.records import MAX_VALUE_BYTES
from tests.unit.schemas.examples import avro

CONTRACT = Contract(
    {
        "type": "record",
        "name": "Sample",
        "fields": [
            {"name": "association_id", "type": "string"},
            {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "note", "type": ["null", "string"]},
            {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["a", "b"]}},
            {"name": "deep", "type": {"type": "record", "name": "Deep", "fields": [
                {"name": "x", "type": ["null", "double"]},
                {"name": "yes", "type": ["null", "boolean"]},
                {"name": "sure", "type": "boolean"},
            ]}},
            {"name": "numbers", "type": {"type": "array", "items": "double"}},
        ],
    }
)  # fmt: skip

_deep = st.fixed_dictionaries(
    {
        "x": st.none() | st.floats(allow_nan=False),
        "yes": st.none() | st.booleans(),
        "sure": st.booleans(),
    }
)
records = st.fixed_dictionaries(
    {
        "association_id": st.text(max_size=80),
        "timestamp": st.integers(-(1 << 50), 1 << 50),
        "note": st.none() | st.text(max_size=5),
        "kind": st.sampled_from("ab"),
        "deep": _deep,
        "numbers": st.lists(st.floats(allow_nan=False), max_size=70),
    }
)


def sample(association_id: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401  # an Avro record is any JSON
    return {
        "association_id": association_id,
        "timestamp": 1_700_000_000_000,
        "note": association_id,
        "kind": "a",
        "deep": {"x": 1.0, "yes": True, "sure": False},
        "numbers": [1.0],
        **changes,
    }


def plain(record: dict[str, Any]) -> dict[str, Any]:
    return {("timestamp_ms" if name == "timestamp" else name): value for name, value in record.items()}


@settings(deadline=None)
@given(st.lists(records, max_size=20))
def test_what_fastavro_writes_is_read_back_in_one_call(rows: list[dict[str, Any]]) -> None:
    keys = [row["association_id"].encode() for row in rows]
    decoded = decode([avro(CONTRACT, row) for row in rows], keys, CONTRACT)
    assert not decoded.slow
    assert not decoded.unreadable
    assert not decoded.mismatched.any()
    assert decoded.frame.to_dicts() == [plain(row) for row in rows]


def _broken(kind: str) -> bytes:
    good = avro(CONTRACT, sample("id-1"))
    return {
        "truncated": good[:-3],
        "followed by more bytes": good + b"\x00",
        "empty body": good[:5],
        "a union index out of range": good.replace(b"\x02\x08id-1", b"\x06\x08id-1"),
        "an enum index out of range": avro(CONTRACT, sample("id-1", note=None)).replace(
            b"\x00\x00\x02" + sample_double(1.0), b"\x00\x08\x02" + sample_double(1.0)
        ),
        "a length beyond the end": good[:5] + zigzag(1 << 40) + good[6:],
        "a negative length": good[:5] + zigzag(-3) + good[6:],
        "a varint without an end": good[:5] + b"\xff" * 12,
        "text that is not UTF-8": good.replace(b"id-1", b"id-\xff"),
        "an array of many numbers": good[:-10] + zigzag(1 << 50) + good[-9:],
        "an array of as many as there can be": good[:-10] + zigzag((1 << 63) - 1) + good[-9:],
    }[kind]


def sample_double(number: float) -> bytes:
    return avro(CONTRACT, sample("x", numbers=[number]))[-9:-1]


BROKEN = (
    "truncated",
    "followed by more bytes",
    "empty body",
    "a union index out of range",
    "an enum index out of range",
    "a length beyond the end",
    "a negative length",
    "a varint without an end",
    "text that is not UTF-8",
    "an array of many numbers",
    "an array of as many as there can be",
)


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("place", range(3))
def test_a_broken_value_is_lost_alone_wherever_it_stands(kind: str, place: int) -> None:
    values = [avro(CONTRACT, sample(f"id-{row}")) for row in (0, 2)]
    keys: list[bytes | None] = [b"id-0", b"id-2"]
    values.insert(place, _broken(kind))
    keys.insert(place, b"id-1")
    decoded = decode(values, keys, CONTRACT)
    assert [bad.row for bad in decoded.unreadable] == [place]
    assert decoded.frame["association_id"].to_list() == ["id-0", "id-2"]
    assert decoded.slow


def test_a_few_broken_values_do_not_slow_down_a_large_batch() -> None:
    values = [avro(CONTRACT, sample(f"id-{row}")) for row in range(2000)]
    values[3] = values[3][:-2]
    values[1999] += b"!"
    decoded = decode(values, [f"id-{row}".encode() for row in range(2000)], CONTRACT)
    assert [bad.row for bad in decoded.unreadable] == [3, 1999]
    assert decoded.frame["association_id"].to_list() == [f"id-{row}" for row in range(2000) if row not in {3, 1999}]
    assert 0 < decoded.slow_rows < 64


def test_two_values_that_are_whole_only_together_are_both_unreadable() -> None:
    first, second = (avro(CONTRACT, sample(name)) for name in ("a", "b"))
    values = [first[:-2], second[:5] + first[-2:] + second[5:], avro(CONTRACT, sample("c"))]
    decoded = decode(values, [b"a", b"b", b"c"], CONTRACT)
    assert [bad.row for bad in decoded.unreadable] == [0, 1]
    assert decoded.rows.tolist() == [2]


def test_a_value_that_swallows_a_neighbour_up_to_its_own_id_takes_nothing_with_it() -> None:
    neighbour = avro(CONTRACT, sample("victim"))
    before_note = neighbour.index(b"\x02\x0cvictim") - 5
    swallower = CONTRACT.framing + zigzag(6 + before_note) + b"robber"
    decoded = decode([swallower, neighbour], [b"robber", b"victim"], CONTRACT)
    assert [bad.row for bad in decoded.unreadable] == [0]
    assert decoded.frame["association_id"].to_list() == ["victim"]


def test_a_nonzero_boolean_other_than_one_reads_the_same_alone_and_in_a_batch() -> None:
    odd = avro(CONTRACT, sample("a", numbers=[], deep={"x": 1.0, "yes": True, "sure": True}))
    odd = odd[:-2] + b"\x07" + odd[-1:]
    alone = decode([odd], [b"a"], CONTRACT)
    together = decode([odd, avro(CONTRACT, sample("b"))], [b"a", b"b"], CONTRACT)
    assert alone.frame.row(0) == together.frame.row(0)


def test_a_key_that_is_another_is_marked_not_lost() -> None:
    values = [avro(CONTRACT, sample("a")), avro(CONTRACT, sample("b"))]
    for values_read in (values, [*values, b"\x00"]):
        decoded = decode(values_read, [b"a", b"x", b"c"][: len(values_read)], CONTRACT)
        assert decoded.mismatched.tolist() == [False, True]


def test_each_refusal_has_its_reason() -> None:
    good = avro(CONTRACT, sample("a"))
    other = b"\x00\x00\x00\x00\x07" + good[5:]
    large = CONTRACT.framing + bytes(MAX_VALUE_BYTES)
    decoded = decode([good, None, good, other, large, b"{}", b"\x00"], [None, *[b"a"] * 6], CONTRACT)
    reasons = ["no key", "no value", "unknown schema id 7", "too large", "not framed", "not framed"]
    assert [bad.reason for bad in decoded.unreadable] == reasons
    assert decoded.rows.tolist() == [2]


def test_the_id_is_of_the_content_and_not_of_the_order_of_keys() -> None:
    assert schema_id({"type": "record", "name": "R"}) == schema_id({"name": "R", "type": "record"})
    assert schema_id({"type": "record", "name": "R"}) != schema_id({"type": "record", "name": "S"})


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.binary(max_size=60))
def test_random_damage_never_raises_and_never_touches_a_neighbour(seed: int, noise: bytes) -> None:
    rng = random.Random(seed)
    values = [avro(CONTRACT, sample(f"id-{row}")) for row in range(4)]
    keys = [f"id-{row}".encode() for row in range(4)]
    hit = rng.randrange(4)
    start = rng.randrange(5, len(values[hit]) + 1)
    values[hit] = values[hit][:start] + noise + values[hit][start + rng.randrange(30) :]
    decoded = decode(values, keys, CONTRACT)
    alone = decode([values[hit]], [keys[hit]], CONTRACT)
    untouched = [row for row in range(4) if row != hit]
    expected = decode([values[row] for row in untouched], [keys[row] for row in untouched], CONTRACT)
    read = {int(row): decoded.frame.row(i) for i, row in enumerate(decoded.rows)}
    assert [read[row] for row in untouched] == expected.frame.rows()
    assert repr(read.get(hit)) == repr(alone.frame.row(0) if len(alone.rows) else None)
    assert [bad.row for bad in decoded.unreadable] == [hit] * len(alone.unreadable)
