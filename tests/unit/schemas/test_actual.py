from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.actual import CONTRACT, ActualColumns, decode_actuals, encode_actual, encode_actuals, encode_forget
from tests.unit.schemas.examples import NOW_MS, avro, batch, unavro


def in_json(association_id: str = "a", **fields: Any) -> bytes:  # noqa: ANN401  # JSON
    return json.dumps({"deployment": "loans", "association_id": association_id, "timestamp": NOW_MS, **fields}).encode()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"value": 3}, (3.0, None, False)),
        ({"value": 2.5}, (2.5, None, False)),
        ({"value": "yes"}, (None, "yes", False)),
        ({"value": True}, (None, "true", False)),
        ({"value": False}, (None, "false", False)),
        ({"withdrawn": True}, (None, None, True)),
        ({"withdrawn": True, "value": 3}, (None, None, True)),
    ],
)
def test_json_says_a_number_a_label_or_a_withdrawal(fields: dict[str, Any], expected: tuple[object, ...]) -> None:
    decoded = decode_actuals(batch([("a", in_json(**fields))]))
    assert decoded.frame.select("value", "label", "withdrawn").rows() == [expected]


def test_what_asks_to_forget_is_read_beside_actuals() -> None:
    values = [encode_actual("loans", "a", NOW_MS, label="yes"), encode_forget("loans", "a", NOW_MS), in_json(value=3)]
    decoded = decode_actuals(batch([("a", value) for value in values]))
    assert decoded.frame["forget"].to_list() == [False, True, False]
    assert decoded.frame["label"].to_list() == ["yes", None, None]


@pytest.mark.parametrize(
    "value",
    [
        in_json(),
        in_json(value=None),
        in_json(value=[1]),
        in_json(value=3, timestamp="soon"),
        in_json(value=3) + b"," + in_json(value=3),
        in_json(value=3)[:-1],
        b"{",
        b"",
        encode_actual("loans", "a", NOW_MS),
        encode_actual("loans", "a", 1 << 60, value=1.0),
        encode_actual("loans", "a", NOW_MS, value=float("nan")),
        encode_actual("loans", "a", NOW_MS, value=float("inf")),
    ],
)
def test_what_says_nothing_is_unreadable_alone(value: bytes) -> None:
    good = encode_actual("loans", "b", NOW_MS, label="yes")
    for other in (good, in_json("b", value="yes")):
        decoded = decode_actuals(batch([("b", other), ("a", value), ("b", other)]))
        assert [bad.row for bad in decoded.unreadable] == [1]
        assert decoded.rows.tolist() == [0, 2]
        assert decoded.frame["label"].to_list() == ["yes", "yes"]


def test_a_batch_of_both_wires_keeps_its_order_and_marks_other_keys() -> None:
    rows = [
        ("0", in_json("0", value=0)),
        ("1", encode_actual("loans", "1", NOW_MS, value=1.0)),
        (None, in_json("2", value=2)),
        ("x", in_json("3", value=3)),
        ("x", encode_actual("loans", "4", NOW_MS, value=4.0, was_acted_on=True)),
    ]
    decoded = decode_actuals(batch(rows))
    assert decoded.rows.tolist() == [0, 1, 3, 4]
    assert decoded.frame["value"].to_list() == [0.0, 1.0, 3.0, 4.0]
    assert decoded.mismatched.tolist() == [False, False, True, True]
    assert decoded.frame["was_acted_on"].to_list() == [None, None, None, True]


actuals = st.fixed_dictionaries(
    {
        "association_id": st.text(max_size=70),
        "deployment": st.text(max_size=5),
        "timestamp": st.integers(-(1 << 45), 1 << 45),
        "value": st.none() | st.floats(allow_nan=False),
        "label": st.none() | st.text(max_size=5),
        "withdrawn": st.booleans(),
        "was_acted_on": st.none() | st.booleans(),
    }
)


@settings(deadline=None)
@given(actuals)
def test_one_actual_is_the_bytes_that_fastavro_writes(actual: dict[str, Any]) -> None:
    names = {"timestamp": "timestamp_ms"}
    ours = encode_actual(**{names.get(name, name): field for name, field in actual.items()})
    assert ours == avro(CONTRACT, actual)


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(max_size=5), st.floats(), st.none() | st.text(max_size=3), st.booleans())))
def test_columns_are_the_same_bytes_as_rows(rows: list[tuple[str, float, str | None, bool]]) -> None:
    ids, values, labels, withdrawn = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [], [])
    times_ms = np.arange(len(ids), dtype=np.int64)
    numbers, marks = np.array(values, np.float64), np.array(withdrawn, np.bool_)
    columns = ActualColumns("loans", ids, times_ms, numbers, labels, marks)
    assert encode_actuals(columns) == [
        encode_actual("loans", name, row, value=None if value != value else value, label=label, withdrawn=gone)  # noqa: PLR0124  # NaN alone is not itself
        for row, (name, value, label, gone) in enumerate(rows)
    ]


def test_a_time_is_a_time_to_fastavro() -> None:
    read = unavro(CONTRACT, encode_actual("loans", "a", NOW_MS, value=1.0))
    assert read["timestamp"] == datetime.fromtimestamp(NOW_MS / 1000, UTC)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=40) | st.binary(max_size=40).map(lambda noise: b"{" + noise), max_size=4))
def test_noise_never_raises_and_never_touches_a_neighbour(noise: list[bytes]) -> None:
    good = encode_actual("loans", "good", NOW_MS, value=1.0)
    decoded = decode_actuals(batch([("good", good), *(("x", one) for one in noise), ("good", good)]))
    assert [decoded.rows[0], decoded.rows[-1]] == [0, len(noise) + 1]
    assert len(decoded.rows) + len(decoded.unreadable) == len(noise) + 2
