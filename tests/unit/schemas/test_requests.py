from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.contract import zigzag
from schemas.package import Feature
from schemas.prediction import ErrorCode
from schemas.records import MAX_VALUE_BYTES
from schemas.request_schema import field_names, request_contract, request_schema, request_schema_id
from schemas.requests import Requests, decode_requests
from tests.unit.schemas.examples import DEPLOYMENTS, LOANS, NOW_MS, PRICES, avro, avro_fields, batch, loan

CONTRACT = request_contract(LOANS)
WIRES = ("json", "avro")


def wire(kind: str, record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode() if kind == "json" else avro(CONTRACT, avro_fields(record))


def read(*rows: tuple[bytes | str | None, bytes | None]) -> Requests:
    return decode_requests(batch(rows), DEPLOYMENTS)


def only_refusal(requests: Requests) -> tuple[ErrorCode, str]:
    assert not requests.groups
    assert not requests.unreadable
    (refused,) = requests.refused
    return refused.code, refused.message


@pytest.mark.parametrize("kind", WIRES)
def test_both_wires_give_the_same_columns(kind: str) -> None:
    rows = [loan("a"), {**loan("b", income=None, owner=None, **{"purpose of loan": None}), "request_id": "r-1"}]
    (group,) = read(*((row["association_id"], wire(kind, row)) for row in rows)).groups
    assert group.association_ids == ["a", "b"]
    assert group.timestamps_ms.tolist() == [NOW_MS, NOW_MS]
    assert group.request_ids == [None, "r-1"]
    assert group.consumers is None
    expected = {
        "amount": [1000.0, 1000.0],
        "income": [10.5, float("nan")],
        "region": ["north", "north"],
        "purpose of loan": ["car", None],
        "employed": [True, True],
        "owner": [False, None],
    }
    assert group.features.equals(pl.DataFrame(expected, strict=False), null_equal=True)
    assert group.features.dtypes == [pl.Float64, pl.Float64, pl.String, pl.String, pl.Boolean, pl.Boolean]


def test_a_batch_of_both_wires_and_two_deployments_keeps_batch_order_in_each_group() -> None:
    price = {"deployment": "prices", "association_id": "p", "timestamp": NOW_MS, "features": {"size": 3}}
    rows = [loan("a"), loan("b"), price, loan("c"), loan("d")]
    kinds = ("json", "avro", "json", "avro", "json")
    requests = read(*((row["association_id"], wire(kind, row)) for kind, row in zip(kinds, rows, strict=True)))
    loans, prices = requests.groups
    assert loans.association_ids == ["a", "b", "c", "d"]
    assert loans.rows.tolist() == [0, 1, 3, 4]
    assert prices.rows.tolist() == [2]
    assert prices.features["size"].to_list() == [3.0]


@pytest.mark.parametrize("kind", WIRES)
@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"amount": float("nan")}, ErrorCode.MISSING_FEATURE, "amount is missing"),
        ({"amount": float("inf")}, ErrorCode.NOT_FINITE, "amount is inf"),
        ({"income": float("-inf")}, ErrorCode.NOT_FINITE, "income is -inf"),
    ],
)
def test_numbers_that_are_none_are_refused_by_name(
    kind: str, changes: dict[str, Any], code: ErrorCode, words: str
) -> None:
    value = wire(kind, loan("a", **changes))
    value = value.replace(b"-Infinity", b"-1e999").replace(b"Infinity", b"1e999").replace(b"NaN", b"null")
    found, message = only_refusal(read(("a", value)))
    assert found is code
    assert message == words or (kind == "json" and "1e999" in message)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"amount": "12"}, "amount is '12', not a number"),
        ({"amount": True}, "amount is True, not a number"),
        ({"region": 7}, "region is 7, not a string"),
        ({"employed": "yes"}, "employed is 'yes', not true or false"),
        ({"income": [1]}, "income is [1], not a number"),
    ],
)
def test_a_json_value_of_the_wrong_type_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    assert only_refusal(read(("a", wire("json", loan("a", **changes))))) == (ErrorCode.WRONG_TYPE, words)


@pytest.mark.parametrize("feature", ["amount", "region", "employed"])
def test_a_required_feature_may_be_neither_null_nor_absent(feature: str) -> None:
    absent = loan("a")
    del absent["features"][feature]
    expected = ErrorCode.MISSING_FEATURE, f"{feature} is missing"
    assert only_refusal(read(("a", wire("json", absent)))) == expected
    assert only_refusal(read(("a", wire("json", loan("a", **{feature: None}))))) == expected


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"features": 3}, ErrorCode.WRONG_TYPE),
        ({"features": None}, ErrorCode.WRONG_TYPE),
        ({"request_id": 3}, ErrorCode.WRONG_TYPE),
        ({"timestamp": True}, ErrorCode.BAD_TIME),
        ({"timestamp": 1.5}, ErrorCode.BAD_TIME),
        ({"timestamp": "yesterday"}, ErrorCode.BAD_TIME),
        ({"timestamp": None}, ErrorCode.BAD_TIME),
        ({"timestamp": 1 << 80}, ErrorCode.BAD_TIME),
        ({"deployment": "nobody's"}, ErrorCode.UNKNOWN_DEPLOYMENT),
        ({"association_id": "b"}, ErrorCode.KEY_MISMATCH),
        ({"association_id": "b", "features": 3}, ErrorCode.KEY_MISMATCH),
    ],
)
def test_a_json_request_is_refused_for_its_frame(changes: dict[str, Any], code: ErrorCode) -> None:
    assert only_refusal(read(("a", wire("json", {**loan("a"), **changes}))))[0] is code


@pytest.mark.parametrize("kind", WIRES)
def test_event_time_is_bounded_by_the_kafka_timestamp(kind: str) -> None:
    bounds = LOANS.settings
    for offset_ms, good in (
        (bounds.max_future_ms, True),
        (bounds.max_future_ms + 1, False),
        (-bounds.max_age_ms, True),
        (-bounds.max_age_ms - 1, False),
    ):
        requests = read(("a", wire(kind, {**loan("a"), "timestamp": NOW_MS + offset_ms})))
        assert [bad.code for bad in requests.refused] == [ErrorCode.BAD_TIME] * (not good)


@pytest.mark.parametrize("timestamp", [(1 << 63) - 1, -(1 << 63), 253_402_300_800_000])
@pytest.mark.parametrize("kind", WIRES)
def test_a_time_beyond_the_year_9999_is_none_and_answered_with_kafkas(kind: str, timestamp: int) -> None:
    value = json.dumps({**loan("a"), "timestamp": timestamp}).encode()
    if kind == "avro":
        good = wire("avro", loan("a"))
        value = good.replace(zigzag(NOW_MS), zigzag(timestamp))
    (refused,) = read(("a", value)).refused
    assert (refused.code, refused.message) == (ErrorCode.BAD_TIME, "timestamp is not a time")
    assert refused.timestamp_ms == NOW_MS


def test_a_time_may_be_written_as_rfc_3339() -> None:
    (group,) = read(("a", wire("json", {**loan("a"), "timestamp": "2023-11-14T23:13:20.5+01:00"}))).groups
    assert group.timestamps_ms.tolist() == [NOW_MS + 500]


def test_avro_with_another_key_or_deployment_is_refused() -> None:
    other = avro(CONTRACT, avro_fields({**loan("b"), "deployment": "prices"}))
    requests = read(("x", wire("avro", loan("a"))), ("b", other))
    assert [bad.code for bad in requests.refused] == [ErrorCode.KEY_MISMATCH, ErrorCode.UNKNOWN_DEPLOYMENT]


def test_what_nobody_could_answer_is_unreadable() -> None:
    good = wire("json", loan("a"))
    requests = read(
        (None, good),
        ("a", None),
        ("a", b""),
        ("a", b"\x00\x00\x00\x00\x07rest"),
        ("a", b"{" + bytes(MAX_VALUE_BYTES)),
        ("a", b"{"),
        ("a", b'{"deployment": "loans"}'),
        ("a", good[:-1] + b"}, " + good),
        ("a", good + b"," + good),
        ("a", b"\xff"),
    )
    assert [bad.row for bad in requests.unreadable] == list(range(10))


def test_extra_fields_and_features_are_ignored() -> None:
    value = {**loan("a", colour="red"), "options": {"explain": 3}, "more": [1]}
    assert len(read(("a", wire("json", value))).groups) == 1


def test_one_bad_row_costs_its_neighbours_nothing() -> None:
    rows = [(f"id-{row}", wire("json", loan(f"id-{row}", amount="12" if row == 2 else 1))) for row in range(5)]
    requests = read(*rows)
    assert requests.groups[0].rows.tolist() == [0, 1, 3, 4]
    assert requests.slow_rows == 1


def test_names_that_avro_does_not_know_are_generated_and_free() -> None:
    assert field_names((Feature("x y"), Feature("feature_0"), Feature("é"))) == ("feature_0_", "feature_0", "feature_2")
    fields = request_schema(LOANS)["fields"][-1]["type"]["fields"]
    assert fields[3] == {"name": "feature_3", "type": ["null", "string"], "default": None, "doc": "purpose of loan"}


def test_deployments_with_equal_features_have_schemas_of_their_own() -> None:
    twin = type(PRICES)("prices2", 1, PRICES.target, PRICES.features, PRICES.champion)
    assert request_schema_id(twin) != request_schema_id(PRICES)


def test_an_empty_batch_is_nothing() -> None:
    assert read() == Requests([], [], [], 0)


_numbers = st.none() | st.floats() | st.integers() | st.booleans() | st.text(max_size=3)
_features = st.fixed_dictionaries(
    {},
    optional={
        "amount": _numbers,
        "income": _numbers,
        "region": st.text(max_size=3) | _numbers,
        "purpose of loan": st.text(max_size=3) | _numbers,
        "employed": st.booleans() | _numbers,
        "owner": st.booleans() | _numbers,
    },
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_features | st.binary(max_size=30), max_size=8), st.integers(0, 2**32))
def test_what_becomes_of_a_record_depends_on_it_alone(rows: list[dict[str, Any] | bytes], seed: int) -> None:
    rng = random.Random(seed)
    sent: list[tuple[bytes | str | None, bytes | None]] = []
    for row, content in enumerate(rows):
        value = content if isinstance(content, bytes) else wire("json", {**loan(f"{row}"), "features": content})
        if rng.random() < 0.5:  # a good one between
            sent.append((f"good-{row}", wire(rng.choice(WIRES), loan(f"good-{row}"))))
        sent.append((f"{row}", value))
    together = _fates(read(*sent))
    assert sorted(together) == list(range(len(sent)))
    for row, one in enumerate(sent):
        assert together[row] == _fates(read(one))[0]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.binary(max_size=20), st.sampled_from(WIRES))
def test_damage_never_raises_and_never_touches_a_neighbour(seed: int, noise: bytes, kind: str) -> None:
    rng = random.Random(seed)
    sent = [(f"id-{row}", wire(kind, loan(f"id-{row}"))) for row in range(4)]
    key, value = sent[1]
    start = rng.randrange(1, len(value) + 1)
    sent[1] = key, value[:start] + noise + value[start + rng.randrange(30) :]
    together = _fates(read(*sent))
    assert together[1] == _fates(read(sent[1]))[0]
    for row in (0, 2, 3):
        assert together[row] == _fates(read(sent[row]))[0]


def _fates(requests: Requests) -> dict[int, str]:
    """What became of each row, in words that do not name the row."""
    fates = {bad.row: f"unreadable {bad.reason}" for bad in requests.unreadable}
    fates |= {bad.row: f"{bad.code} {bad.message} {bad.association_id} {bad.timestamp_ms}" for bad in requests.refused}
    for group in requests.groups:
        assert (np.diff(group.rows) > 0).all()
        for position, row in enumerate(group.rows.tolist()):
            fates[row] = repr((group.association_ids[position], group.features.row(position)))
    return fates


@pytest.mark.parametrize("kind", WIRES)
def test_a_refusal_names_the_feature_at_fault_and_who_asked(kind: str) -> None:
    row = {**loan("a", amount=float("inf") if kind == "avro" else 1e999), "consumer": "web", "host_ip": "10.0.0.1"}
    value = wire(kind, row).replace(b"Infinity", b"1e999")
    (refused,) = read(("a", value)).refused
    assert (refused.code, refused.feature) == (ErrorCode.NOT_FINITE, "amount")
    assert refused.said == {"consumer": "web", "host_ip": "10.0.0.1"}


def test_a_feature_of_a_wrong_type_is_named_and_a_field_of_a_wrong_type_is_no_feature() -> None:
    wrong_feature = {**loan("a", region=7), "consumer": "web"}
    wrong_field = {**loan("b"), "consumer": 7, "remote_ip": "::1"}
    first, second = read(("a", wire("json", wrong_feature)), ("b", wire("json", wrong_field))).refused
    assert (first.code, first.feature, first.said) == (ErrorCode.WRONG_TYPE, "region", {"consumer": "web"})
    assert (second.code, second.feature, second.said) == (ErrorCode.WRONG_TYPE, "", {"remote_ip": "::1"})
