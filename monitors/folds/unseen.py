"""The names of categories that training never saw, of the rows of a batch that have one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitors.folds.groups import Groups
from monitors.unseen_names import LONGEST, MOST_NAMES, Names, largest

_CODE, _ROWS = "code", "rows"


def unseen_names(column: pl.Series, rows: NDArray[np.intp], groups: Groups) -> Iterator[tuple[int, Names]]:
    """For each bucket of these `rows`: its start, and the names that they have in the column. Of all rows only."""
    names = column[rows].cast(pl.String).str.slice(0, LONGEST)
    counted = (
        pl.DataFrame([pl.Series(_CODE, groups.everyone[rows]), names.alias("name")])
        .group_by(_CODE, "name")
        .agg(pl.len().alias(_ROWS))
        .sort(_CODE, _ROWS, "name", descending=[False, True, False])
    )
    for (code,), found in counted.partition_by(_CODE, as_dict=True, include_key=False).items():
        listed = found.head(MOST_NAMES + 1)
        most = dict(zip(listed["name"].to_list(), listed[_ROWS].to_list(), strict=True))
        yield groups.keys[int(code)][1], largest(most)
