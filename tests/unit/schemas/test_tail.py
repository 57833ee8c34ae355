from __future__ import annotations

import math
import random
import struct
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.columnar import decode
from schemas.contract import Contract
from tests.unit.schemas.examples import avro

DOUBLE, OPTIONAL, TEXT = "double", ["null", "double"], ["null", "string"]
LAYOUTS = (
    [OPTIONAL],
    [DOUBLE],
    [DOUBLE, DOUBLE, DOUBLE],
    [OPTIONAL, DOUBLE, OPTIONAL],
    [DOUBLE, TEXT, OPTIONAL, DOUBLE],
    [OPTIONAL, TEXT],
    [OPTIONAL, DOUBLE, OPTIONAL, TEXT],
    [TEXT, *[DOUBLE] * 3, TEXT, *[OPTIONAL] * 4],
    [DOUBLE, OPTIONAL, DOUBLE, TEXT, TEXT, OPTIONAL, OPTIONAL, OPTIONAL, TEXT, DOUBLE],
)


def contract(layout: list[Any]) -> Contract:
    fields = [{"name": f"f{place}", "type": kind} for place, kind in enumerate(layout)]
    return Contract(
        {
            "type": "record",
            "name": "Sample",
            "fields": [
                {"name": "association_id", "type": "string"},
                {"name": "timestamp", "type": "long"},
                {"name": "features", "type": {"type": "record", "name": "Features", "fields": fields}},
            ],
        }
    )


CONTRACTS = [contract(layout) for layout in LAYOUTS]

floats = st.floats(allow_nan=False)
MEMBERS = {str(DOUBLE): floats, str(OPTIONAL): st.none() | floats, str(TEXT): st.none() | st.text(max_size=9)}


def record(association_id: str, features: list[Any]) -> dict[str, Any]:
    named = {f"f{place}": value for place, value in enumerate(features)}
    return {"association_id": association_id, "timestamp": 1_700_000_000_000, "features": named}


@settings(deadline=None)
@given(st.integers(0, len(LAYOUTS) - 1), st.data(), st.booleans())
def test_numbers_side_by_side_are_read_as_they_were_written(number: int, data: st.DataObject, full: bool) -> None:  # noqa: FBT001  # an example's value
    kinds = [DOUBLE if full and kind == OPTIONAL else kind for kind in LAYOUTS[number]]
    features = data.draw(st.lists(st.tuples(*(MEMBERS[str(kind)] for kind in kinds)), max_size=8))
    rows = [record(f"id-{row}", list(values)) for row, values in enumerate(features)]
    keys = [row["association_id"].encode() for row in rows]
    decoded = decode([avro(CONTRACTS[number], row) for row in rows], keys, CONTRACTS[number])
    assert not decoded.slow
    assert decoded.frame.rename({"timestamp_ms": "timestamp"}).to_dicts() == rows


@pytest.mark.parametrize("number", range(len(LAYOUTS)))
def test_the_columns_are_of_the_same_types_with_and_without_a_missing_number(number: int) -> None:
    layout = LAYOUTS[number]
    full = [1.0 if kind != TEXT else "x" for kind in layout]
    missing = [1.0 if kind == DOUBLE else None for kind in layout]
    schemas = []
    pairs: list[list[list[Any]]] = [[full, full], [full, missing]]
    for rows in pairs:
        values = [avro(CONTRACTS[number], record("a", row)) for row in rows]
        schemas.append(decode(values, [b"a"] * len(values), CONTRACTS[number]).frame.schema)
    assert schemas[0] == schemas[1]
    assert isinstance(schemas[0]["features"], pl.Struct)


def test_an_id_that_looks_like_numbers_is_not_taken_for_some() -> None:
    looks = "\x02" * 30
    rows = [record(looks, [None, 1.0, None]), record(looks, [None, struct.unpack("<d", b"\x02" * 8)[0], 1.0])]
    decoded = decode([avro(CONTRACTS[3], row) for row in rows], [looks.encode()] * 2, CONTRACTS[3])
    assert not decoded.slow
    assert decoded.frame["features"].to_list() == [row["features"] for row in rows]


@pytest.mark.parametrize("other", [[1.0, 2.0, 3.0], [None, 2.0, 3.0]])
def test_a_number_that_is_nan_is_not_a_missing_one(other: list[float | None]) -> None:
    rows = [record("a", [math.nan, math.nan, None]), record("b", other)]
    frame = decode([avro(CONTRACTS[3], row) for row in rows], [b"a", b"b"], CONTRACTS[3]).frame
    assert repr(frame["features"].to_list()) == repr([row["features"] for row in rows])


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(LAYOUTS) - 1), st.integers(0, 2**32), st.binary(max_size=30))
def test_damage_before_or_in_the_numbers_stays_where_it_is(number: int, seed: int, noise: bytes) -> None:
    rng = random.Random(seed)
    full: list[Any] = [float(rng.random()) if kind != TEXT else "x" for kind in LAYOUTS[number]]
    if rng.random() < 0.5:  # half of them with a missing number
        full = [value if kind == DOUBLE else None for kind, value in zip(LAYOUTS[number], full, strict=True)]
    values = [avro(CONTRACTS[number], record(f"id-{row}", full)) for row in range(4)]
    keys = [f"id-{row}".encode() for row in range(4)]
    start = rng.randrange(5, len(values[1]) + 1)
    values[1] = values[1][:start] + noise + values[1][start + rng.randrange(30) :]
    together = decode(values, keys, CONTRACTS[number])
    alone = decode(values[1:2], keys[1:2], CONTRACTS[number])
    read = {int(row): together.frame.row(i) for i, row in enumerate(together.rows)}
    assert [read[row][0] for row in (0, 2, 3)] == ["id-0", "id-2", "id-3"]
    assert all(list(read[row][2].values()) == full for row in (0, 2, 3))
    assert repr(read.get(1)) == repr(alone.frame.row(0) if len(alone.rows) else None)
