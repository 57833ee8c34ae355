"""Importance of features by permutation: how much worse a model does where one column no longer belongs to its rows.

For a model that names no importance of its own. The increase of the mean loss on holdout (log loss, or squared error)
when a column is shuffled, 0 where there is none, as shares that sum to 1 (Breiman, Machine Learning 2001; Fisher, Rudin
and Dominici, JMLR 2019). Features that carry the same signal share or hide each other's importance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray

from schemas.package import Feature, Target, TargetType
from scorers.package import LoadedPackage
from scorers.scoring import score

MOST_ROWS = 5_000
_LEAST_PROBABILITY = 1e-15


def with_importance(
    loaded: LoadedPackage, holdout: pl.DataFrame, actuals: Sequence[object], rng: np.random.Generator
) -> tuple[Feature, ...]:
    """The model's features with their importance; as they were where nothing is learned from the holdout rows.

    `actuals`: the truth of the rows, numbers or class labels. At most 5,000 rows are looked at, chosen by `rng`.
    """
    features = loaded.package.features
    chosen = rng.permutation(holdout.height)[:MOST_ROWS]
    rows, truth = holdout[chosen], [actuals[place] for place in chosen.tolist()]
    usual = _loss(loaded, rows, truth)
    rises = [
        max(_loss(loaded, rows.with_columns(rows[one.name][rng.permutation(rows.height)]), truth) - usual, 0.0)
        for one in features
    ]
    total = sum(rises)
    if not 0 < total < np.inf:  # no rows, a model that fails, or one that looks at nothing
        return features
    return tuple(replace(one, importance=rise / total) for one, rise in zip(features, rises, strict=True))


def _loss(loaded: LoadedPackage, rows: pl.DataFrame, actuals: Sequence[object]) -> float:
    """The mean loss; NaN where there are no rows, or the model fails on one."""
    if not rows.height:
        return float("nan")
    target, said = loaded.package.target, score(loaded, rows)
    if target.type is TargetType.REGRESSION:
        with np.errstate(over="ignore"):
            return float(((said.values - np.asarray(actuals, np.float64)) ** 2).mean())
    return float(-np.log(np.clip(_of_actual(target, said.probabilities, actuals), _LEAST_PROBABILITY, 1.0)).mean())


def _of_actual(target: Target, probabilities: object, actuals: Sequence[object]) -> NDArray[np.float64]:
    """The probability that was given to what came true; 0 to what is no class."""
    codes = {label: place for place, label in enumerate(target.classes)}
    table = np.column_stack([np.asarray(probabilities, np.float64), np.zeros(len(actuals))])
    return np.asarray(table[np.arange(len(actuals)), [codes.get(str(label), -1) for label in actuals]])
