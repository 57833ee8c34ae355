"""The folds read what the codecs of the wire decode."""

from __future__ import annotations

import numpy as np

from monitors.folds import fold_outcomes, fold_predictions
from schemas.deployment import HOUR_MS, Span
from schemas.observation import Kind
from schemas.outcome import Outcome, OutcomeKind, OutcomePrediction, decode_outcomes, encode_outcomes
from schemas.package import Target, TargetType
from schemas.prediction import ErrorCode, PredictionColumns, decode_predictions, encode_error, encode_predictions
from schemas.records import Records
from tests.unit.monitors.fold_frames import package

BINARY = package(Target("bought", TargetType.BINARY, ("no", "yes")))


def records(keys: list[str], values: list[bytes]) -> Records:
    nowhere = np.zeros(len(keys), np.int64)
    encoded: list[bytes | None] = [key.encode() for key in keys]
    return Records(encoded, list(values), nowhere.astype(np.int32), nowhere, nowhere)


def test_decoded_predictions_fold() -> None:
    answered = PredictionColumns(
        deployment="d",
        model="m",
        revision=1,
        association_ids=["a", "b"],
        timestamps_ms=np.array([5, HOUR_MS]),
        source_partitions=np.zeros(2, np.int32),
        source_offsets=np.arange(2),
        execution_ms=np.array([1.0, 2.0]),
        response_ms=np.array([3.0, 4.0]),
        values=np.array([0.8, 0.1]),
        probabilities=np.array([[0.2, 0.8], [0.9, 0.1]]),
        labels=["yes", "no"],
        segments=[("plan=a",), ()],
    )
    failed = encode_error(
        ErrorCode.MODEL_FAILED,
        "it broke",
        association_id="c",
        deployment="d",
        timestamp_ms=6,
        source_partition=0,
        source_offset=2,
        response_ms=1.0,
    )
    frame = decode_predictions(records(["a", "b", "c"], [*encode_predictions(answered), failed])).frame
    found = fold_predictions(frame, BINARY, Span.HOUR)
    first = found[Kind.PREDICTIONS, "m", "", 0]
    assert (first.count("rows"), first.count("error:system"), first.count("code:model_failed")) == (1, 1, 1)
    assert found[Kind.ACCURACY, "m", "plan=a", 0].count("expected") == 1
    assert found[Kind.PREDICTIONS, "m", "", HOUR_MS].count("prediction") == 1


def test_decoded_outcomes_fold() -> None:
    answer = OutcomePrediction(
        "m", shadow=False, timestamp_ms=HOUR_MS + 1, value=0.8, label="yes", segments=("plan=a",)
    )
    joined = [
        Outcome("a", "d", OutcomeKind.MATCHED, 0, 9, label="yes", predictions=(answer,)),
        Outcome("b", "d", OutcomeKind.MATCHED, 0, 9, label="yes", predictions=(answer,)),
        Outcome("b", "d", OutcomeKind.CORRECTED, 1, 9, label="no", previous_label="yes", predictions=(answer,)),
        Outcome("c", "d", OutcomeKind.UNMATCHED, 0, 9, label="no"),
        Outcome("d", "d", OutcomeKind.EXPIRED, 0, 9, predictions=(answer,)),
    ]
    frame = decode_outcomes(records([outcome.association_id for outcome in joined], encode_outcomes(joined))).frame
    found = fold_outcomes(frame, {"m": BINARY}, Span.HOUR)
    for segment in ("", "plan=a"):
        summary = found[Kind.ACCURACY, "m", segment, HOUR_MS]
        assert summary.counts["confusion"].tolist() == [0, 1, 0, 1]
        assert (summary.count("matched"), summary.count("expired")) == (2, 1)
