"""Bookings as an application would send them: JSON for one deployment, Avro in Confluent framing for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl

from infra.demo.questions import Question, Wire
from schemas import encoding
from schemas.actual import ActualColumns, encode_actuals
from schemas.deployment import Deployment, Model
from schemas.package import Feature, FeatureType, TargetType
from schemas.request_schema import OPTIONAL, request_contract

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NO_MODEL = Model("", "", "")


def requests(chosen: pl.DataFrame, question: Question) -> list[bytes]:
    """A request for each booking, features as known when it was made."""
    return _json_requests(chosen, question) if question.wire is Wire.JSON else _avro_requests(chosen, question)


def actuals(chosen: pl.DataFrame, question: Question, truth: pl.Series | None = None) -> list[bytes]:
    """The outcome of each booking; `truth` says otherwise where something else than the truth is to be sent."""
    values = chosen[question.truth] if truth is None else truth
    if question.wire is Wire.JSON:
        return _json_actuals(chosen, question, values)
    ids, times_ms = chosen["association_id"].to_list(), chosen["outcome_ms"].to_numpy()
    numbers, labels = (values.to_numpy(), None) if question.target.type is TargetType.REGRESSION else (None, values)
    columns = ActualColumns(question.deployment, ids, times_ms, numbers, None if labels is None else labels.to_list())
    return encode_actuals(columns)


def _json_requests(chosen: pl.DataFrame, question: Question) -> list[bytes]:
    features = chosen.select(feature.name for feature in question.features).iter_rows(named=True)
    heads = zip(chosen["association_id"], chosen["made_ms"], features, strict=True)
    return [
        msgspec.json.encode(
            {
                "deployment": question.deployment,
                "association_id": association_id,
                "timestamp": made_ms,
                "consumer": "booking-site",
                "features": known,
            }
        )
        for association_id, made_ms, known in heads
    ]


def _json_actuals(chosen: pl.DataFrame, question: Question, values: pl.Series) -> list[bytes]:
    """Classes that are called true and false go as what JSON has for it."""
    is_boolean = set(question.target.classes) == {"false", "true"}
    said = (values == "true" if is_boolean else values).to_list()
    heads = zip(chosen["association_id"], chosen["outcome_ms"], said, strict=True)
    return [
        msgspec.json.encode(
            {
                "deployment": question.deployment,
                "association_id": association_id,
                "timestamp": outcome_ms,
                "value": value,
            }
        )
        for association_id, outcome_ms, value in heads
    ]


def _avro_requests(chosen: pl.DataFrame, question: Question) -> list[bytes]:
    deployment = Deployment(question.deployment, 0, question.target, question.features, _NO_MODEL)
    pieces: list[encoding.Piece] = [
        request_contract(deployment).framing,
        encoding.strings(chosen["association_id"].to_list()),
        encoding.string(question.deployment),
        encoding.longs(chosen["made_ms"].to_numpy()),
        encoding.NULL * len(OPTIONAL),
        *(_piece(chosen[feature.name], feature) for feature in question.features),
    ]
    return encoding.assemble(pieces, chosen.height)


def _piece(column: pl.Series, feature: Feature) -> encoding.Piece:
    if feature.type is FeatureType.NUMERIC:
        numbers: NDArray[np.float64] = column.cast(pl.Float64).to_numpy()  # null becomes NaN
        return encoding.optional_doubles(numbers) if feature.nullable else encoding.doubles(numbers)
    if feature.nullable:
        raise ValueError(f"{feature.name}: only numbers may be missing in the demo's bookings")
    if feature.type is FeatureType.BOOLEAN:
        return column.cast(pl.UInt8).to_numpy().reshape(-1, 1)
    return encoding.strings(column.to_list())
