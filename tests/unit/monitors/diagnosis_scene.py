"""A model that knows its world exactly, and worlds in which one thing at a time has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitors.baseline import build_baseline
from monitors.folds import SummaryKey, fold_features, fold_outcomes, fold_predictions
from monitors.folds.groups import merge_into
from monitors.summary import Summary
from schemas.deployment import Span
from schemas.package import Feature, Package, Target, TargetType
from tests.unit.monitors.fold_frames import OUTCOME, PREDICTION

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

TARGET = Target("left", TargetType.BINARY, ("no", "yes"))
FEATURES = (Feature("age", nullable=True, importance=0.7), Feature("debt", nullable=True, importance=0.3))
ROWS = 2_000  # of a window


def sigmoid(logit: Floats) -> Floats:
    """A chance from its logarithm of odds."""
    return np.asarray(1 / (1 + np.exp(-logit)))


@dataclass(frozen=True)
class Rows:
    """What was asked, what was answered, what came true."""

    age: Floats
    debt: Floats
    said: Floats
    truth: Flags


def model(age: Floats, debt: Floats) -> Floats:
    """What the model says; of a missing value it thinks the mean."""
    return sigmoid(1.5 * np.nan_to_num(age) + np.nan_to_num(debt))


@dataclass(frozen=True)
class World:
    """Normal, unless something is changed.

    `at`, `spread`: of age. `prior`: the share of positives, while what they are like stays. `flipped`: labels; `lost`:
    values of age; `serve`: another version of the model.
    """

    at: float = 0.0
    spread: float = 1.0
    prior: float | None = None
    flipped: float = 0.0
    lost: float = 0.0
    serve: Callable[[Floats, Floats], Floats] = field(default=model)

    def draw(self, rng: np.random.Generator, count: int) -> Rows:
        """Rows of this world."""
        if self.prior is not None:
            return self._drawn_by_class(rng, count, self.prior)
        age, debt = rng.normal(self.at, self.spread, count), rng.normal(0, 1, count)
        truth = rng.random(count) < model(age, debt)
        return self._answered(rng, age, debt, truth)

    def _drawn_by_class(self, rng: np.random.Generator, count: int, prior: float) -> Rows:
        pool = replace(self, prior=None).draw(rng, 20 * count)
        positive = rng.random(count) < prior
        rows = np.where(
            positive, rng.choice(np.flatnonzero(pool.truth), count), rng.choice(np.flatnonzero(~pool.truth), count)
        )
        return Rows(pool.age[rows], pool.debt[rows], pool.said[rows], pool.truth[rows])

    def _answered(self, rng: np.random.Generator, age: Floats, debt: Floats, truth: Flags) -> Rows:
        truth = truth ^ (rng.random(age.size) < self.flipped)
        age = np.where(rng.random(age.size) < self.lost, np.nan, age)
        return Rows(age, debt, self.serve(age, debt), truth)


@cache
def trained(digest: str = "m1") -> Package:
    """The package of the model, with a holdout of 20,000 rows of the normal world."""
    rows = World().draw(np.random.default_rng(0), 20_000)
    training = pl.DataFrame({"age": rows.age, "debt": rows.debt})
    baseline = build_baseline(FEATURES, TARGET, training, labels(rows.truth), rows.said)
    return Package("model", "1", digest, TARGET, FEATURES, "linear", baseline)


def labels(truth: Flags) -> list[str]:
    """As the world says them."""
    return ["yes" if one else "no" for one in truth.tolist()]


def as_they_came(rows: Rows, rng: np.random.Generator, *, yes: float = 1.0, no: float = 1.0) -> Rows:
    """The rows in the order of their outcomes, which take a time that depends on them: these are its means."""
    order = np.argsort(rng.exponential(np.where(rows.truth, yes, no)))
    return Rows(*(getattr(rows, one.name)[order] for one in fields(Rows)))


def deltas(rows: Rows, *, known: int | None = None, at_ms: int = 0, digest: str = "m1") -> dict[SummaryKey, Summary]:
    """What the observer makes of rows, the outcomes of the first `known` of them (None: all) among them."""
    package, count = trained(digest), rows.age.size
    times_ms = np.full(count, at_ms, np.int64)
    inputs = pl.DataFrame({"age": rows.age, "debt": rows.debt})
    nobody = pl.Series([[]] * count, dtype=pl.List(pl.String))
    total: dict[SummaryKey, Summary] = {}
    merge_into(total, fold_features(inputs, times_ms, nobody, package, Span.HOUR).items())
    answers = _frame(PREDICTION, timestamp_ms=times_ms, value=rows.said, segments=nobody, response_ms=1.0)
    merge_into(total, fold_predictions(answers, package, Span.HOUR).items())
    if known != 0:
        merge_into(total, came_true(rows, slice(known), at_ms=at_ms, digest=digest).items())
    return total


def came_true(rows: Rows, some: slice, *, at_ms: int = 0, digest: str = "m1") -> dict[SummaryKey, Summary]:
    """The outcomes of some rows."""
    said, truth = rows.said[some], rows.truth[some]
    nobody = pl.Series([[]] * said.size, dtype=pl.List(pl.String))
    nothing = pl.Series([[]] * said.size, dtype=pl.List(pl.Float64))
    answers = pl.DataFrame({"value": said}).select(
        model=pl.lit(digest),
        shadow=pl.lit(value=False),
        value="value",
        label=pl.lit(None, pl.String),
        probabilities=nothing,
        timestamp=pl.lit(at_ms, pl.Int64),
        segments=nobody,
    )
    lists = answers.to_struct().reshape((said.size, 1)).arr.to_list()
    told = _frame(OUTCOME, kind="matched", timestamp_ms=at_ms, label=pl.Series(labels(truth)), predictions=lists)
    return fold_outcomes(told, {digest: trained(digest)}, Span.HOUR)


def _frame(schema: dict[str, pl.DataType | type[pl.DataType]], **columns: object) -> pl.DataFrame:
    size = next(len(one) for one in columns.values() if isinstance(one, pl.Series))
    whole = {
        name: columns[name] if isinstance(columns.get(name), (pl.Series, np.ndarray)) else [columns.get(name)] * size
        for name in schema
    }
    return pl.DataFrame(whole, schema=schema)
