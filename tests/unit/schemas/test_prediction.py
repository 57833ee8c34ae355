from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.explanations import Explanations
from schemas.prediction import (
    CLUSTERED,
    CLUSTERED_EXPLAINED,
    CONTRACT,
    EXPLAINED,
    ErrorCode,
    ErrorKind,
    PredictionColumns,
    decode_predictions,
    encode_error,
    encode_predictions,
)
from tests.unit.schemas.examples import avro, batch, unavro

if TYPE_CHECKING:
    from random import Random

longs = st.integers(-(1 << 63), (1 << 63) - 1)
texts = st.none() | st.text(max_size=6)


@st.composite
def prediction_columns(draw: st.DrawFn) -> PredictionColumns:
    count = draw(st.integers(0, 12))

    def column(items: st.SearchStrategy[object]) -> list[object]:
        return draw(st.lists(items, min_size=count, max_size=count))

    def numbers() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.array(column(st.floats(allow_nan=False)), np.float64)

    classes = draw(st.integers(0, 3))
    return PredictionColumns(
        draw(st.text(max_size=5)),
        draw(st.text(max_size=70)),
        draw(st.integers(0, 1 << 40)),
        column(st.text(max_size=200)),  # type: ignore[arg-type]  # lists of objects, all of them
        np.array(column(st.integers(-(1 << 45), 1 << 45)), np.int64),
        np.array(column(st.integers(0, 2**31 - 1)), np.int32),
        np.array(column(longs), np.int64),
        numbers(),
        numbers(),
        draw(st.none() | st.just(np.array(column(st.floats()), np.float64))),
        draw(st.none() | st.just(np.array([numbers() for _ in range(classes)]).reshape(classes, count).T)),
        draw(st.none() | st.just(column(texts))),  # type: ignore[arg-type]  # the same
        draw(st.none() | st.just(column(st.lists(st.text(max_size=4), max_size=3).map(tuple)))),  # type: ignore[arg-type]  # the same
        draw(st.none() | st.just(column(texts))),  # type: ignore[arg-type]  # the same
        draw(st.none() | st.just(column(texts))),  # type: ignore[arg-type]  # the same
    )


@settings(deadline=None)
@given(prediction_columns())
def test_fastavro_reads_each_row_as_it_was_meant(columns: PredictionColumns) -> None:
    values = encode_predictions(columns)
    assert len(values) == len(columns)
    for row, value in enumerate(values):
        read = unavro(CONTRACT, value)
        assert read["association_id"] == columns.association_ids[row]
        assert read["source_offset"] == columns.source_offsets[row]
        assert read["source_partition"] == columns.source_partitions[row]
        expected = None if columns.values is None or np.isnan(columns.values[row]) else columns.values[row]
        assert read["value"] == expected
        assert read["probabilities"] == ([] if columns.probabilities is None else columns.probabilities[row].tolist())
        assert read["segments"] == ([] if columns.segments is None else list(columns.segments[row]))
        for name, texts_of in (
            ("label", columns.labels),
            ("request_id", columns.request_ids),
            ("consumer", columns.consumers),
        ):
            assert read[name] == (None if texts_of is None else texts_of[row])
        assert (read["deployment"], read["model"], read["revision"]) == (
            columns.deployment,
            columns.model,
            columns.revision,
        )
        assert read["error_kind"] is read["error_code"] is read["error_message"] is None


@settings(deadline=None)
@given(prediction_columns())
def test_what_is_written_is_read_back_in_one_call(columns: PredictionColumns) -> None:
    values = encode_predictions(columns)
    decoded = decode_predictions(batch(list(zip(columns.association_ids, values, strict=True))))
    assert not decoded.slow
    assert not decoded.mismatched.any()
    frame = decoded.frame
    assert frame["association_id"].to_list() == columns.association_ids
    assert frame["timestamp_ms"].to_list() == columns.timestamps_ms.tolist()
    assert frame["execution_ms"].to_list() == columns.execution_ms.tolist()
    if columns.segments is not None:
        assert frame["segments"].to_list() == [list(row) for row in columns.segments]


@pytest.mark.parametrize("code", ErrorCode)
def test_an_error_stands_beside_predictions_with_its_kind(code: ErrorCode) -> None:
    value = encode_error(
        code,
        "amount is missing",
        association_id="a",
        deployment="loans",
        timestamp_ms=-5,
        source_partition=3,
        source_offset=1 << 40,
        response_ms=1.5,
        consumer="c",
    )
    read = unavro(CONTRACT, value)
    assert (read["error_kind"], read["error_code"], read["error_message"]) == (code.kind, code, "amount is missing")
    assert (read["source_partition"], read["source_offset"], read["consumer"]) == (3, 1 << 40, "c")
    decoded = decode_predictions(batch([("a", value)]))
    assert not decoded.slow
    assert decoded.frame["error_kind"].to_list() == [code.kind]
    assert decoded.frame["timestamp_ms"].to_list() == [-5]
    assert code.kind in ErrorKind


names = st.lists(st.text(max_size=70), min_size=1, max_size=6, unique=True).map(tuple)


@st.composite
def explained_columns(draw: st.DrawFn) -> PredictionColumns:
    columns = draw(prediction_columns())
    features = draw(names)
    numbers = st.lists(st.floats(), min_size=len(features), max_size=len(features))
    rows = draw(st.lists(numbers, min_size=len(columns), max_size=len(columns)))
    return replace(columns, explanations=Explanations(features, np.array(rows).reshape(len(columns), len(features))))


@settings(deadline=None)
@given(explained_columns())
def test_any_avro_library_reads_what_moved_each_prediction(columns: PredictionColumns) -> None:
    said = columns.explanations
    assert said is not None
    without = encode_predictions(replace(columns, explanations=None))
    for row, value in enumerate(encode_predictions(columns)):
        read = unavro(EXPLAINED, value)
        found = [(one["feature"], one["attribution"]) for one in read.pop("explanations")]
        finite = np.isfinite(said.attributions[row]).all()
        assert found == (list(zip(said.features, said.attributions[row], strict=True)) if finite else [])
        assert read == unavro(CONTRACT, without[row])


@settings(deadline=None)
@given(explained_columns(), st.integers(0, 3), st.randoms())
def test_explanations_are_read_back_beside_rows_that_have_none(
    columns: PredictionColumns, errors: int, order: Random
) -> None:
    said = columns.explanations
    assert said is not None
    values = list(zip(columns.association_ids, encode_predictions(columns), strict=True))
    rows: list[tuple[str, bytes, int | None]] = [(key, value, row) for row, (key, value) in enumerate(values)]
    rows += [(str(number), failed(str(number)), None) for number in range(errors)]
    order.shuffle(rows)
    decoded = decode_predictions(batch([(key, value) for key, value, _ in rows]))
    assert not decoded.unreadable
    assert decoded.frame["association_id"].to_list() == [key for key, _, _ in rows]
    finite = [bool(np.isfinite(row).all()) for row in said.attributions]
    if not any(finite):
        assert "explanations" not in decoded.frame.columns
        return
    found = decoded.frame["explanations"].struct.unnest().select(said.features).to_numpy()
    for (_, _, row), numbers in zip(rows, found, strict=True):
        if row is None or not finite[row]:
            assert np.isnan(numbers.astype(np.float64)).all()
        else:
            assert numbers.tolist() == said.attributions[row].tolist()


@settings(deadline=None)
@given(explained_columns(), explained_columns(), st.randoms())
def test_clusters_are_read_back_beside_rows_of_every_other_contract(
    columns: PredictionColumns, others: PredictionColumns, order: Random
) -> None:
    cells = np.arange(len(columns)) * 85
    explained_too = replace(columns, clusters=cells)
    alone = replace(explained_too, explanations=None)
    for row, value in enumerate(encode_predictions(alone)):
        read = unavro(CLUSTERED, value)
        assert read.pop("cluster") == cells[row]
        assert read == unavro(CONTRACT, encode_predictions(replace(columns, explanations=None))[row])
    rows = [
        (key, value, cell)
        for part in (explained_too, alone, others, replace(others, explanations=None))
        for key, value, cell in zip(
            part.association_ids,
            encode_predictions(part),
            [None] * len(part) if part.clusters is None else part.clusters.tolist(),
            strict=True,
        )
    ]
    rows += [("no", failed("no"), None)]
    order.shuffle(rows)
    for some in (rows, [row for row in rows if row[2] is not None]):
        decoded = decode_predictions(batch([(key, value) for key, value, _ in some]))
        assert not decoded.unreadable
        assert decoded.frame["association_id"].to_list() == [key for key, _, _ in some]
        assert decoded.frame["cluster"].to_list() == [cell for _, _, cell in some]


def test_explanations_of_different_features_stand_beside_each_other_with_clusters_and_without() -> None:
    clustered = unavro(EXPLAINED, explained("b", ("plan", 2.0))) | {"cluster": 7}
    rows = [("a", explained("a", ("age", 1.0))), ("b", avro(CLUSTERED_EXPLAINED, clustered)), ("c", failed("c"))]
    frame = decode_predictions(batch(rows)).frame
    assert frame["explanations"].struct.field("age").to_list() == [1.0, None, None]
    assert frame["explanations"].struct.field("plan").to_list() == [None, 2.0, None]
    assert frame["cluster"].to_list() == [None, 7, None]


def failed(association_id: str) -> bytes:
    return encode_error(
        ErrorCode.WRONG_TYPE,
        "",
        association_id=association_id,
        deployment="loans",
        timestamp_ms=0,
        source_partition=0,
        source_offset=0,
        response_ms=1.0,
    )


def explained(association_id: str, *said: tuple[str, float]) -> bytes:
    record = unavro(CONTRACT, failed(association_id)) | {"error_kind": None, "error_code": None, "error_message": None}
    listed = [{"feature": name, "attribution": number} for name, number in said]
    return avro(EXPLAINED, record | {"explanations": listed})


def test_a_few_features_and_another_order_are_read_by_name() -> None:
    rows = [("a", explained("a", ("age", 1.0), ("plan", 2.0))), ("b", explained("b", ("plan", 3.0)))]
    rows += [("c", explained("c")), ("d", explained("d", ("plan", 4.0), ("age", 5.0))), ("e", failed("e"))]
    frame = decode_predictions(batch(rows)).frame
    assert frame["explanations"].struct.field("age").to_list() == [1.0, None, None, 5.0, None]
    assert frame["explanations"].struct.field("plan").to_list() == [2.0, 3.0, None, 4.0, None]


def test_a_damaged_explanation_costs_its_own_row_and_no_other() -> None:
    rows = [(key, explained(key, ("age", 1.0), ("plan", 2.0))) for key in "abcd"]
    rows[1] = ("b", rows[1][1][:-3])
    rows[2] = ("c", rows[2][1] + b"x")
    decoded = decode_predictions(batch(rows))
    assert decoded.frame["association_id"].to_list() == ["a", "d"]
    assert [bad.row for bad in decoded.unreadable] == [1, 2]
    assert decoded.frame["explanations"].struct.field("plan").to_list() == [2.0, 2.0]


def test_where_none_is_explained_nothing_is_decoded_for_it() -> None:
    decoded = decode_predictions(batch([("a", failed("a")), ("b", failed("b"))]))
    assert "explanations" not in decoded.frame.columns
    assert decode_predictions(batch([])).frame.columns == decoded.frame.columns
