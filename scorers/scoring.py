"""Scoring: a batch of rows through a model, where one bad row never harms its neighbours."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas.package import TargetType
from schemas.prediction import ErrorCode
from scorers.formats import Predictions, Predictor
from scorers.package import LoadedPackage

Failures = dict[int, tuple[ErrorCode, str]]

CALLS = 4_096  # most model calls for one batch; by halving, 2,048 rows can never need more
_MESSAGE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model says of n rows.

    `values` (n,) float64: the number (regression), the probability of the positive class (binary), of the label
    (multiclass). `probabilities` (n, classes) and `labels` are None for a regression. `failed`: code and sentence by
    row; such a row has NaN for its numbers and an empty label.
    """

    values: NDArray[np.float64]
    probabilities: NDArray[np.float64] | None
    labels: list[str] | None
    failed: Failures = field(default_factory=dict)


def score(loaded: LoadedPackage, features: pl.DataFrame) -> Scores:
    """Score every row; what goes wrong with a row is said of that row.

    `features` has the columns that `scorers.formats.Predictor` asks for, null where nullable only. If the model raises,
    the batch is halved until the rows that it cannot take are alone. A label is positive from the target's threshold.
    """
    target = loaded.package.target
    raw, failed = _predictions(loaded.model, features, len(target.classes))
    finite = np.isfinite(raw) if raw.ndim == 1 else np.isfinite(raw).all(axis=1)
    for row in np.flatnonzero(~finite).tolist():
        failed.setdefault(row, (ErrorCode.MODEL_NOT_FINITE, "the model's prediction is not a finite number"))
    raw[~finite] = np.nan
    if target.type is TargetType.REGRESSION:
        return Scores(raw, None, None, failed)
    if target.type is TargetType.BINARY:
        values = np.ascontiguousarray(raw[:, 1])
        chosen = (values >= target.threshold).astype(np.intp)
    else:
        chosen = raw.argmax(axis=1)
        values = raw[np.arange(len(raw)), chosen]
    labels = np.array([*target.classes, ""], dtype=object)[np.where(finite, chosen, len(target.classes))]
    return Scores(values, raw, labels.tolist(), failed)


def _predictions(model: Predictor, features: pl.DataFrame, classes: int) -> tuple[Predictions, Failures]:
    """Predictions of all rows, NaN where the model failed, by halving what raises; deepest first and in order."""
    n = features.height
    raw = np.full((n, classes) if classes else n, np.nan)
    failed: Failures = {}
    pending, calls = [(0, n)] if n else [], 0
    while pending:
        first, end = pending.pop()
        calls += 1
        try:
            raw[first:end] = _called(model, features.slice(first, end - first), classes)
        except Exception as error:  # noqa: BLE001 - a model may raise anything; here it becomes a value
            if end - first == 1 or calls >= CALLS:
                failed.update(dict.fromkeys(range(first, end), (ErrorCode.MODEL_FAILED, _sentence(error))))
            else:
                middle = (first + end) // 2
                pending += [(middle, end), (first, middle)]
    return raw, failed


def _called(model: Predictor, features: pl.DataFrame, classes: int) -> Predictions:
    raw = model.predict(features)
    wanted = (features.height, classes) if classes else (features.height,)
    if raw.shape != wanted:
        raise ValueError(f"predictions of the shape {raw.shape} where {wanted} is needed")
    return raw


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return f"the model failed: {text}"[:_MESSAGE_CHARS]
