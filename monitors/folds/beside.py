"""Predictions beside the actuals of their outcomes: what accuracy, losses and pairs are folded from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitors.columns import distinct

Rows = NDArray[np.intp]
Signs = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Said:
    """One row per outcome and prediction, without the model; which outcome each is of, ascending; `models[codes]`."""

    rows: pl.DataFrame
    of: Rows
    models: list[str]
    codes: Rows

    @classmethod
    def of_outcomes(cls, frame: pl.DataFrame) -> Said:
        """From columns as in the contract `outcome`."""
        listed = frame["predictions"]
        lengths = np.nan_to_num(listed.list.len().to_numpy()).astype(np.intp)
        if not lengths.all():
            listed = listed.filter(pl.Series(lengths > 0))
        rows = listed.explode().struct.unnest()
        rows.columns = ["timestamp_ms" if name == "timestamp" else name for name in rows.columns]
        models, codes = distinct(rows.drop_in_place("model").cast(pl.String))
        return cls(rows, np.repeat(np.arange(lengths.size), lengths), models, codes)


@dataclass(frozen=True, slots=True)
class Beside:
    """Columns of `Said` and the actual as truth_value and truth_label, each row with its sign.

    1 with the current actual, -1 with the previous one; `signs` is None where all are 1. `of`: what each row is of,
    ascending; what is taken back is of other things than what is added. `parts`: the rows of each model, and which.
    """

    rows: pl.DataFrame
    of: Rows
    signs: Signs | None
    models: list[str]
    codes: Rows
    parts: list[tuple[Rows, pl.DataFrame]]

    @classmethod
    def of_rows(cls, rows: pl.DataFrame, of: Rows, signs: Signs | None, models: list[str], codes: Rows) -> Beside:
        """With the rows of each model, by its code."""
        if len(models) == 1:
            return cls(rows, of, signs, models, codes, [(np.arange(codes.size), rows)])
        places = [np.flatnonzero(codes == code) for code in range(len(models))]
        return cls(rows, of, signs, models, codes, [(at, rows[at]) for at in places])
