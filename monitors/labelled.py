"""Labelled rows: what a model said of a case beside what came true, as columns to train on and to look at.

Rules:
- A case is one association. Its newest outcome says everything: all that was predicted and the actual in effect, or
  that the actual was withdrawn, or that it is to be forgotten.
- The answer of a case is what was served: the first prediction of a champion. Where none was served, the first of a
  challenger gives the case its time, and there is no answer.
- What an actual means is what accuracy takes it for (`monitors.folds`): an actual that is no class, or no number, is
  none.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitors.folds.answers import positive_scores, predicted_codes, values
from monitors.folds.terms import actual_codes
from schemas.outcome import OutcomeKind
from schemas.package import Target, TargetType

LABELLED = (OutcomeKind.MATCHED.value, OutcomeKind.CORRECTED.value)
TAKEN_BACK = (OutcomeKind.WITHDRAWN.value, OutcomeKind.FORGOTTEN.value)
"""Other kinds say nothing of whether a case is labelled."""
TIME = pl.Datetime("ms", "UTC")

Longs = NDArray[np.int64]
_SAID = ("model", "value", "label", "probabilities")


def told_of(frame: pl.DataFrame, deployment: str, since_ms: int, until_ms: int) -> pl.Series:
    """Which outcomes say whether a case of a deployment is labelled that may be of this time (to the end exclusive).

    A forget is of any time: the join may have let go of what it names, and list later predictions or none.
    """
    times = pl.col("predictions").list.eval(pl.element().struct.field("timestamp"))
    of_time = (times.list.max() >= since_ms) & (times.list.min() < until_ms)
    kinds = pl.col("kind").cast(pl.String).is_in([*LABELLED, *TAKEN_BACK])
    forgets = pl.col("kind").cast(pl.String) == OutcomeKind.FORGOTTEN.value
    wanted = forgets | (kinds & of_time)
    return frame.select((pl.col("deployment").cast(pl.String) == deployment) & wanted).to_series()


def served(frame: pl.DataFrame) -> pl.DataFrame:
    """The prediction that gives each case its time: columns of one prediction, a row for each outcome."""
    listed = frame.select(pl.col("predictions")).with_row_index("case").explode("predictions")
    said = listed.select("case", pl.col("predictions").struct.unnest())
    return said.sort("case", "shadow", "timestamp", "model").unique("case", keep="first", maintain_order=True)


def rows_of(frame: pl.DataFrame, target: Target, *, all_models: bool = False) -> pl.DataFrame:
    """Outcomes of the kinds `LABELLED` as rows; `actual` is null where it is none.

    `prediction` is a number or a class, `probability` that of the positive class, `probabilities` those of all classes
    in their order. With `all_models` `predictions` lists what every model said.
    """
    said = served(frame)
    answered = ~said["shadow"]
    said = said.with_columns(pl.when(answered).then(pl.col(name)).alias(name) for name in _SAID)
    truth = frame.select(truth_value="value", truth_label="label")
    columns = [
        frame["association_id"].cast(pl.String),
        said["timestamp"].cast(TIME),
        frame["timestamp_ms"].cast(TIME).alias("actual_timestamp"),
        *_answer(said, target),
        said["model"].cast(pl.String),
        _actual(truth, target),
        frame["was_acted_on"],
        frame["revision"].cast(pl.Int32),
    ]
    if all_models:
        said_by = pl.element().struct
        kept = pl.struct(
            said_by.field("model", "shadow"),
            said_by.field("timestamp").cast(TIME),
            said_by.field("value", "label", "probabilities"),
        )
        columns.append(frame.select(pl.col("predictions").list.eval(kept)).to_series())
    return pl.DataFrame(columns)


def _answer(said: pl.DataFrame, target: Target) -> list[pl.Series]:
    if target.type is TargetType.REGRESSION:
        return [pl.Series("prediction", values(said)).fill_nan(None)]
    found = [_classes("prediction", predicted_codes(said, target), target)]
    if target.type is TargetType.BINARY:
        found.append(pl.Series("probability", positive_scores(said)).fill_nan(None))
    else:
        found.append(said["probabilities"].cast(pl.List(pl.Float64)))
    return found


def _actual(truth: pl.DataFrame, target: Target) -> pl.Series:
    if target.type is not TargetType.REGRESSION:
        return _classes("actual", actual_codes(truth, target), target)
    numbers = truth["truth_value"].cast(pl.Float64)
    return numbers.set(~numbers.is_finite().fill_null(value=False), None).alias("actual")


def _classes(name: str, codes: NDArray[np.intp], target: Target) -> pl.Series:
    places = pl.Series(name, codes)
    return places.replace_strict(dict(enumerate(target.classes)), default=None, return_dtype=pl.String)
