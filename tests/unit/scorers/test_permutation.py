"""Importance by permutation: what a linear model looks at is what it weighs."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from schemas.package import Feature, Package, Target, TargetType
from scorers.formats.linear import LinearModel, Link, NumericTerm
from scorers.package import LoadedPackage, build, load
from scorers.permutation import with_importance

FEATURES = (Feature("strong"), Feature("weak"), Feature("unused"))
PRICE = Target("price", TargetType.REGRESSION)
BOUGHT = Target("bought", TargetType.BINARY, ("no", "yes"))


def linear(target: Target, *slopes: float) -> LoadedPackage:
    link = Link.LOGIT if target is BOUGHT else Link.IDENTITY
    terms = {one.name: NumericTerm(slope) for one, slope in zip(FEATURES, slopes, strict=True)}
    metadata = Package("m", "1", "", target, FEATURES, "linear")
    rows = pl.DataFrame({one.name: [0.0] for one in FEATURES})
    return load(build(metadata, LinearModel(link, 0.0, terms).artifact(), rows))


def holdout(rows: int = 4_000) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame({one.name: rng.normal(size=rows) for one in FEATURES})


def test_the_squared_error_of_a_linear_model_rises_by_the_square_of_the_slope() -> None:
    rows = holdout()
    truth = (rows["strong"] * 2 + rows["weak"]).to_list()
    found = with_importance(linear(PRICE, 2.0, 1.0, 0.0), rows, truth, np.random.default_rng(1))
    assert [one.importance for one in found] == pytest.approx([0.8, 0.2, 0.0], abs=0.02)
    assert [one.name for one in found] == ["strong", "weak", "unused"]


def test_of_a_classifier_the_log_loss_counts_and_a_label_that_is_no_class_is_no_fault() -> None:
    rows = holdout()
    noisy = rows["strong"] * 2 + rows["weak"] + np.random.default_rng(2).logistic(size=rows.height)
    truth = ["yes" if value > 0 else "no" for value in noisy.to_list()]
    truth[0] = "nonsense"
    strong, weak, unused = with_importance(linear(BOUGHT, 2.0, 1.0, 0.0), rows, truth, np.random.default_rng(3))
    assert strong.importance > 2 * weak.importance > 0
    assert unused.importance == 0
    assert strong.importance + weak.importance == pytest.approx(1)


@pytest.mark.parametrize("rows", [0, 1, 50])
def test_where_nothing_is_learned_the_features_stay_as_they_were(rows: int) -> None:
    blind = linear(PRICE, 0.0, 0.0, 0.0)
    assert with_importance(blind, holdout(rows), [1.0] * rows, np.random.default_rng(4)) == FEATURES


def test_the_same_seed_gives_the_same_importance() -> None:
    rows = holdout(6_000)
    model = linear(PRICE, 2.0, 1.0, 0.5)
    truth = rows["strong"].to_list()
    assert with_importance(model, rows, truth, np.random.default_rng(5)) == with_importance(
        model, rows, truth, np.random.default_rng(5)
    )
