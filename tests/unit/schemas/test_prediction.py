from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.prediction import (
    CONTRACT,
    ErrorCode,
    ErrorKind,
    PredictionColumns,
    decode_predictions,
    encode_error,
    encode_predictions,
)
from tests.unit.schemas.examples import batch, unavro

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
        draw(st.none() | st.just(column(texts))),  # type: ignore[arg-type]
        draw(st.none() | st.just(column(st.lists(st.text(max_size=4), max_size=3).map(tuple)))),  # type: ignore[arg-type]
        draw(st.none() | st.just(column(texts))),  # type: ignore[arg-type]
        draw(st.none() | st.just(column(texts))),  # type: ignore[arg-type]
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
