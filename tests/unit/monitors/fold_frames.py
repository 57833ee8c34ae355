"""Frames as the decoders give them, from plain Python rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from monitors.folds import SummaryKey
from monitors.folds.groups import merge_into
from monitors.summary import Summary
from schemas.package import Baseline, Package, Target

SAID = pl.Struct(
    {
        "model": pl.String,
        "shadow": pl.Boolean,
        "value": pl.Float64,
        "label": pl.String,
        "probabilities": pl.List(pl.Float64),
        "timestamp": pl.Int64,
        "segments": pl.List(pl.String),
    }
)
OUTCOME: dict[str, pl.DataType | type[pl.DataType]] = {
    "association_id": pl.String,
    "kind": pl.String,
    "timestamp_ms": pl.Int64,
    "value": pl.Float64,
    "label": pl.String,
    "previous_value": pl.Float64,
    "previous_label": pl.String,
    "predictions": pl.List(SAID),
    "cluster": pl.Int64,
}
PREDICTION: dict[str, pl.DataType | type[pl.DataType]] = {
    "association_id": pl.String,
    "timestamp_ms": pl.Int64,
    "value": pl.Float64,
    "probabilities": pl.List(pl.Float64),
    "label": pl.String,
    "execution_ms": pl.Float64,
    "response_ms": pl.Float64,
    "segments": pl.List(pl.String),
    "error_kind": pl.Enum(["data", "system"]),
    "error_code": pl.String,
    "consumer": pl.String,
}


def said(
    value: float | None = None,
    label: str | None = None,
    probabilities: Sequence[float] = (),
    *,
    model: str = "m",
    at_ms: int = 0,
    segments: Sequence[str] = (),
) -> dict[str, Any]:
    return {
        "model": model,
        "shadow": False,
        "value": value,
        "label": label,
        "probabilities": list(probabilities),
        "timestamp": at_ms,
        "segments": list(segments),
    }


def outcomes(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    full = [dict.fromkeys(OUTCOME) | {"association_id": "a", "timestamp_ms": 0} | dict(row) for row in rows]
    return pl.DataFrame(full, schema=OUTCOME)


def predictions(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    usual = {"association_id": "a", "timestamp_ms": 0, "probabilities": [], "segments": [], "response_ms": 1.0}
    return pl.DataFrame([dict.fromkeys(PREDICTION) | usual | dict(row) for row in rows], schema=PREDICTION)


def package(target: Target, baseline: Baseline | None = None, digest: str = "m") -> Package:
    return Package("model", "1", digest, target, (), "onnx", baseline or Baseline())


def merged(parts: Iterable[Mapping[SummaryKey, Summary]]) -> dict[SummaryKey, bytes]:
    """The sum of deltas as bytes, empty summaries left out."""
    total: dict[SummaryKey, Summary] = {}
    for part in parts:
        merge_into(total, ((key, summary.copy()) for key, summary in part.items()))
    return {key: summary.encode() for key, summary in sorted(total.items()) if not summary.is_empty()}
