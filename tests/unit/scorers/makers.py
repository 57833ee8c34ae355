"""Small packages and models that the tests of this folder share."""

from __future__ import annotations

import polars as pl

from schemas.package import Baseline, CategoricalBins, Feature, FeatureType, NumericBins, Package, Target, TargetType
from scorers.formats.linear import CategoricalTerm, LinearModel, Link, NumericTerm
from scorers.package import LoadedPackage, build, load

LATE = Target("late", TargetType.BINARY, classes=("no", "yes"), threshold=0.4)
FEATURES = (
    Feature("age", FeatureType.NUMERIC, nullable=True, importance=0.7),
    Feature("carrier", FeatureType.CATEGORICAL, nullable=True),
    Feature("holiday", FeatureType.BOOLEAN),
)
BASELINE = Baseline(
    rows=10,
    features={
        "age": NumericBins(edges=(0.0, 1.5, 3.0), counts=(0, 5, 4, 0, 1)),
        "carrier": CategoricalBins(categories=("AA", "DL"), counts=(6, 2, 1, 0, 1), others=("ZZ",)),
    },
    holdout={"auc": 0.75},
)
MODEL = LinearModel(
    link=Link.LOGIT,
    intercept=-0.5,
    terms={
        "age": NumericTerm(0.8, mean=1.0, scale=2.0),
        "carrier": CategoricalTerm({"AA": 0.3, "DL": -0.2}, missing="DL"),
        "holiday": NumericTerm(0.25),
    },
)
ROWS = pl.DataFrame(
    {"age": [0.5, None, 2.75], "carrier": ["AA", None, "XX"], "holiday": [True, False, True]},
    schema={"age": pl.Float64, "carrier": pl.String, "holiday": pl.Boolean},
)


def package(name: str = "delays", digest: str = "", **changed: object) -> Package:
    fields: dict[str, object] = {
        "version": "1.0",
        "target": LATE,
        "features": FEATURES,
        "format": "linear",
        "baseline": BASELINE,
        "created_ms": 1_750_000_000_123,
        "authors": ("Åsa", "no"),
        "description": "late: yes or no\nby carrier",
        "training_data": "flights-2024.parquet",
        "hyperparameters": {"C": "1e-3"},
    }
    return Package(name, digest=digest, **{**fields, **changed})  # type: ignore[arg-type]  # what a test changes may be wrong on purpose


def archive() -> bytes:
    return build(package(), MODEL.artifact(), ROWS)


def loaded() -> LoadedPackage:
    return load(archive())
