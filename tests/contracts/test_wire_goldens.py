"""Bytes that are on topics for years: a change here needs a new contract beside the old one, not a new golden."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from schemas.actual import CONTRACT as ACTUAL
from schemas.actual import encode_actual
from schemas.clusters import cells_of
from schemas.contract import schema_id
from schemas.explanations import Explanations
from schemas.outcome import CLUSTERED as CLUSTERED_OUTCOME
from schemas.outcome import CONTRACT as OUTCOME
from schemas.outcome import EARLIER, Outcome, OutcomeKind, OutcomePrediction, decode_outcomes, encode_outcomes
from schemas.prediction import (
    CLUSTERED,
    CLUSTERED_EXPLAINED,
    EXPLAINED,
    ErrorCode,
    PredictionColumns,
    encode_error,
    encode_predictions,
)
from schemas.prediction import CONTRACT as PREDICTION
from schemas.request_schema import request_contract, request_schema_id
from tests.unit.schemas.examples import LOANS, NOW_MS, PRICES, avro, avro_fields, batch, loan


def test_schema_ids() -> None:
    ids = [schema_id(contract.schema) for contract in (PREDICTION, ACTUAL, OUTCOME, EARLIER, EXPLAINED)]
    assert ids == [1643322355, 620570651, 631173481, 976226443, 1600143484]
    with_clusters = [schema_id(contract.schema) for contract in (CLUSTERED, CLUSTERED_EXPLAINED, CLUSTERED_OUTCOME)]
    assert with_clusters == [848422632, 1348320228, 1149728274]
    assert [request_schema_id(LOANS), request_schema_id(PRICES)] == [2127540049, 6630320]


def test_a_request() -> None:
    assert avro(request_contract(LOANS), avro_fields(loan("a"))).hex() == (
        "007ecfaf5102610a6c6f616e7380a0abfef962000000000000000000408f400200000000000025400a6e6f7274680206636172010200"
    )


def test_a_prediction() -> None:
    columns = PredictionColumns(
        "loans",
        "d" * 4,
        7,
        ["id-1"],
        np.array([NOW_MS]),
        np.array([3], np.int32),
        np.array([1_000_000]),
        np.array([0.5]),
        np.array([4.25]),
        np.array([0.75]),
        np.array([[0.25, 0.75]]),
        ["yes"],
        [("region=north",)],
    )
    assert encode_predictions(columns)[0].hex() == (
        "0061f31bf3"
        "0869642d3180a0abfef9620680897a000000000000e03f000000000000114002000000000000e83f0400000000"
        "0000d03f000000000000e83f0002067965730218726567696f6e3d6e6f7274680000000a6c6f616e7308646464"
        "640e000000"
    )
    explained = replace(columns, explanations=Explanations(("age", "plan"), np.array([[0.5, -0.25]])))
    assert encode_predictions(explained)[0].hex() == (
        "005f60407c"
        "0869642d3180a0abfef9620680897a000000000000e03f000000000000114002000000000000e83f0400000000"
        "0000d03f000000000000e83f0002067965730218726567696f6e3d6e6f7274680000000a6c6f616e7308646464"
        "640e000000"
        "0406616765000000000000e03f08706c616e000000000000d0bf00"
    )
    clustered = replace(explained, clusters=cells_of([b"customer 1"]))
    body, said = encode_predictions(columns)[0][5:].hex(), encode_predictions(explained)[0][-27:].hex()
    assert encode_predictions(clustered)[0].hex() == f"00505dbbe4{body}8808{said}"
    assert encode_predictions(replace(clustered, explanations=None))[0].hex() == f"003291e6e8{body}8808"


def test_an_error() -> None:
    value = encode_error(
        ErrorCode.MISSING_FEATURE,
        "amount is missing",
        association_id="id-1",
        deployment="loans",
        timestamp_ms=NOW_MS,
        source_partition=3,
        source_offset=1_000_000,
        response_ms=4.25,
    )
    assert value.hex() == (
        "0061f31bf3"
        "0869642d3180a0abfef9620680897a000000000000000000000000000011400000000000000a6c6f616e730000"
        "0200021e6d697373696e675f666561747572650222616d6f756e74206973206d697373696e67"
    )


def test_an_actual() -> None:
    assert encode_actual("loans", "id-1", NOW_MS, label="yes").hex() == (
        "0024fd281b0869642d310a6c6f616e7380a0abfef9620002067965730000"
    )


def test_an_outcome() -> None:
    said = OutcomePrediction(
        "dddd",
        shadow=False,
        timestamp_ms=NOW_MS,
        value=0.75,
        label="yes",
        probabilities=(0.25, 0.75),
        segments=("region=north",),
    )
    outcome = Outcome("id-1", "loans", OutcomeKind.MATCHED, 1, NOW_MS + 1, label="yes", predictions=(said,))
    body = (
        "0869642d310a6c6f616e7300020082a0abfef96200020679657300000208646464640002000000000000e83f02"
        "0679657304000000000000d03f000000000000e83f0080a0abfef9620218726567696f6e3d6e6f7274680000"
    )
    acted = msgspec.structs.replace(outcome, was_acted_on=True)
    assert [value.hex() for value in encode_outcomes([outcome, acted])] == [
        f"00259ef169{body}00",
        f"00259ef169{body}0201",
    ]
    clustered = msgspec.structs.replace(outcome, cluster=1_023)
    assert encode_outcomes([clustered])[0].hex() == f"0044877612{body}00fe0f"
    earlier, now = bytes.fromhex(f"003a30088b{body}"), bytes.fromhex(f"00259ef169{body}0201")
    read = decode_outcomes(batch([("id-1", earlier), ("id-1", now), ("id-1", earlier)])).frame
    assert read["was_acted_on"].to_list() == [None, True, None]
    assert read["label"].to_list() == ["yes"] * 3
