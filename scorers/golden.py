"""Golden rows: inputs, and the predictions that the model must give for them at every load, on every machine."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl

from schemas.package import Feature, FeatureType, Target, TargetType
from scorers.formats import Predictions, Predictor

Scalar = bool | int | float | str | None

COLUMN_TYPES: dict[FeatureType, pl.DataType] = {
    FeatureType.NUMERIC: pl.Float64(),
    FeatureType.CATEGORICAL: pl.String(),
    FeatureType.TEXT: pl.String(),
    FeatureType.BOOLEAN: pl.Boolean(),
}

_SCALARS: dict[FeatureType, set[type]] = {
    FeatureType.NUMERIC: {int, float},
    FeatureType.CATEGORICAL: {str},
    FeatureType.TEXT: {str},
    FeatureType.BOOLEAN: {bool},
}

MOST_ROWS = 10_000
_SUM_TOLERANCE = 1e-3  # of probabilities in single precision, and of softmax approximations


class GoldenError(ValueError):
    """The golden rows are not usable, or the model does not give what they say."""


class Golden(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`rows`: values by feature name, null is missing. `predictions`: by row, the value or the probabilities."""

    rows: tuple[dict[str, Scalar], ...]
    predictions: tuple[tuple[float, ...], ...]

    def features(self, features: tuple[Feature, ...]) -> pl.DataFrame:
        """The rows as the columns that a model takes; GoldenError where one is absent or of another type."""
        return pl.DataFrame([self._column(feature) for feature in features])

    def _column(self, feature: Feature) -> pl.Series:
        name, kind = feature.name, COLUMN_TYPES[feature.type]
        if any(name not in row for row in self.rows):
            raise GoldenError(f"a golden row has no value for the feature {name!r}")
        values = [row[name] for row in self.rows]
        if not feature.nullable and None in values:
            raise GoldenError(f"the feature {name!r} is not nullable, but missing in a golden row")
        if not all(value is None or type(value) in _SCALARS[feature.type] for value in values):
            raise GoldenError(f"the golden values of the {feature.type} feature {name!r} are of another type")
        return pl.Series(name, values, dtype=kind, strict=False)


def record(model: Predictor, features: tuple[Feature, ...], target: Target, rows: pl.DataFrame) -> Golden:
    """The golden rows of a model, with the predictions that it gives now."""
    absent = [feature.name for feature in features if feature.name not in rows.columns]
    if absent:
        raise GoldenError(f"the golden rows have no column for: {', '.join(absent)}")
    try:
        columns = rows.select(pl.col(feature.name).cast(COLUMN_TYPES[feature.type]) for feature in features)
    except pl.exceptions.PolarsError as error:
        raise GoldenError(f"the golden rows are not of the features' types: {error}") from error
    if any(column.is_infinite().any() for column in columns if column.dtype == pl.Float64):
        raise GoldenError("the golden rows hold an infinite number")
    columns = columns.with_columns(pl.selectors.float().fill_nan(None))
    golden = Golden(tuple(columns.to_dicts()), ())
    predicted = _predict(model, golden.features(features), target)
    return Golden(golden.rows, tuple(map(tuple, predicted.reshape(len(golden.rows), -1).tolist())))


def check(golden: Golden, model: Predictor, features: tuple[Feature, ...], target: Target, tolerance: float) -> None:
    """Raise GoldenError unless the model gives the golden predictions.

    `tolerance` is relative to the prediction; below the size that matters, it is relative to that: 1 for a probability,
    the root mean square of all golden predictions for a value.
    """
    width = len(target.classes) or 1
    if len(golden.predictions) != len(golden.rows) or any(len(row) != width for row in golden.predictions):
        raise GoldenError(f"there must be {width} golden prediction(s) for each golden row")
    expected = np.array(golden.predictions, dtype=np.float64)
    got = _predict(model, golden.features(features), target).reshape(expected.shape)
    size = 1.0 if target.classes else float(np.sqrt(np.mean(expected**2)))
    wrong = np.flatnonzero(~(np.abs(got - expected) <= tolerance * np.maximum(np.abs(expected), size)).all(axis=1))
    if wrong.size:
        row = int(wrong[0])
        raise GoldenError(
            f"the model gives {got[row].tolist()} for golden row {row + 1}, the package says {expected[row].tolist()};"
            f" {wrong.size} of {len(golden.rows)} rows are off by more than {tolerance:g}"
        )


def _predict(model: Predictor, rows: pl.DataFrame, target: Target) -> Predictions:
    if not 0 < rows.height <= MOST_ROWS:
        raise GoldenError(f"a package needs 1 to {MOST_ROWS} golden rows, this one has {rows.height}")
    try:
        predicted = model.predict(rows)
    except Exception as error:
        raise GoldenError(f"the model fails on the golden rows: {error}") from error
    wanted = (rows.height, len(target.classes)) if target.type is not TargetType.REGRESSION else (rows.height,)
    if predicted.shape != wanted:
        raise GoldenError(f"the model gives predictions of the shape {predicted.shape} where {wanted} is needed")
    if not np.isfinite(predicted).all():
        raise GoldenError("the model gives a golden row a prediction that is not finite")
    if target.classes and (
        predicted.min() < -_SUM_TOLERANCE or (np.abs(predicted.sum(axis=1) - 1) > _SUM_TOLERANCE).any()
    ):
        raise GoldenError("the model's outputs are not probabilities: they must be 0 or more and sum to 1 in each row")
    return predicted
