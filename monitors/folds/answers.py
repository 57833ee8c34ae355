"""What a model said, as arrays: scores and classes, from the columns that predictions and outcomes share."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitors.columns import codes_in, even, few_in
from schemas.package import Target, TargetType

NO_CLASS = -1
_FEW = 5


def present(column: pl.Series) -> NDArray[np.bool_]:
    """Which rows are not null; most columns have no null, or nothing else."""
    nulls = column.null_count()
    if nulls in (0, len(column)):
        return np.full(len(column), not nulls)
    return column.is_not_null().to_numpy()


def values(frame: pl.DataFrame) -> NDArray[np.float64]:
    """`value` as numbers, NaN where there is none."""
    return _column(frame["value"], pl.Float64()).to_numpy()


def positive_scores(frame: pl.DataFrame) -> NDArray[np.float64]:
    """P(positive) of a binary model: the second of `probabilities`, else `value`; NaN where there is neither."""
    lists = _column(frame["probabilities"], pl.List(pl.Float64))
    if (pairs := even(lists, 2)) is not None and not np.isnan(said := pairs.to_numpy()[:, 1]).any():
        return said
    if even(lists, 0) is not None:  # as the joiner keeps them
        return values(frame)
    second = lists.list.get(1, null_on_oob=True)
    if not second.null_count():
        return second.to_numpy()
    return np.where(present(second), second.to_numpy(), values(frame))


def class_codes(classes: tuple[str, ...], labels: pl.Series) -> NDArray[np.intp]:
    """The position of each label among the classes; -1 where it is none of them."""
    if labels.null_count() == len(labels):
        return np.full(len(labels), NO_CLASS, np.intp)
    names = _column(labels, pl.String())
    if len(classes) <= _FEW and not names.null_count():
        return few_in(classes, names, NO_CLASS)
    return codes_in(_enum(classes), names, NO_CLASS)


@lru_cache(maxsize=1024)
def _enum(classes: tuple[str, ...]) -> pl.Enum:
    return pl.Enum(classes)


def _column(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    return column if column.dtype == dtype else column.cast(dtype)


def predicted_codes(frame: pl.DataFrame, target: Target) -> NDArray[np.intp]:
    """The predicted class: `label`, else the threshold on the score or the greatest probability; -1 where unknown."""
    codes = class_codes(target.classes, frame["label"])
    if not (codes == NO_CLASS).any():
        return codes
    if target.type is TargetType.BINARY:
        scores = positive_scores(frame)
        derived = np.where(np.isnan(scores), NO_CLASS, scores >= target.threshold)
    else:
        greatest = frame["probabilities"].cast(pl.List(pl.Float64)).list.arg_max()
        derived = greatest.cast(pl.Int64).fill_null(NO_CLASS).to_numpy()
        derived = np.where(derived < len(target.classes), derived, NO_CLASS)
    return np.where(codes == NO_CLASS, derived, codes)


def predicted_outputs(frame: pl.DataFrame, target: Target) -> pl.Series:
    """What the bins of `Baseline.prediction` are of: the value, P(positive), or the predicted class's label."""
    if target.type is TargetType.REGRESSION:
        return frame["value"].cast(pl.Float64)
    if target.type is TargetType.BINARY:
        return pl.Series(positive_scores(frame))
    codes = pl.Series(predicted_codes(frame, target))
    names = codes.replace_strict(dict(enumerate(target.classes)), default=None, return_dtype=pl.String)
    return pl.select(pl.coalesce(frame["label"].cast(pl.String), names)).to_series()
