"""A regression that errs by features which its prediction does not see: `wide` (a number) and `kind` (a category)."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray

from monitors.baseline import build_baseline
from monitors.folds import fold_predictions
from monitors.folds.foreseen import fold_foreseen
from monitors.summary import Summary
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.package import Feature, FeatureType, Package, Target, TargetType
from tests.unit.monitors.fold_frames import package, predictions

PRICE = Target("price", TargetType.REGRESSION)
FEATURES = (Feature("size"), Feature("wide", nullable=True), Feature("noise"), Feature("kind", FeatureType.CATEGORICAL))
USUAL, CHANGED = (0.5, 0.3, 0.2), (0.2, 0.2, 0.6)

Floats = NDArray[np.float64]


def rows(
    rng: np.random.Generator, count: int, wider: float = 0.0, kinds: tuple[float, ...] = USUAL
) -> tuple[pl.DataFrame, Floats, Floats]:
    """Features, what is predicted, and the truth; `wider` moves `wide`, `kinds` are the shares of a, b and z."""
    frame = pl.DataFrame(
        {
            "size": rng.normal(size=count),
            "wide": rng.normal(wider, 1, count),
            "noise": rng.normal(size=count),
            "kind": rng.choice(["a", "b", "z"], p=kinds, size=count),
        }
    )
    predicted = 100 + 20 * frame["size"].to_numpy()
    spread = (5 + predicted / 20) * np.where(frame["wide"].to_numpy() > 0.5, 2.5, 1.0)
    spread = spread * np.where((frame["kind"] == "z").to_numpy(), 1.6, 1.0)
    return frame, predicted, predicted + rng.normal(size=count) * spread


def learned(rng: np.random.Generator, count: int = 10_000, digest: str = "m") -> Package:
    """A package with an error model."""
    frame, predicted, truth = rows(rng, count)
    baseline = build_baseline(FEATURES, PRICE, frame, truth, predicted, holdout=frame)
    return replace(package(PRICE, baseline, digest), features=FEATURES)


def said(live: Package, predicted: Floats) -> Summary:
    """What is counted of predictions."""
    frame = predictions([{"value": value} for value in predicted.tolist()])
    return fold_predictions(frame, live, Span.DAY)[Kind.ACCURACY, "m", "", 0]


def asked(live: Package, frame: pl.DataFrame, excluded: Collection[str] = ()) -> Summary:
    """What is counted of requests."""
    times = np.zeros(frame.height, np.int64)
    found = fold_foreseen(frame, times, None, live, Span.DAY, excluded)
    return found.get((Kind.ACCURACY, "m", "", 0), Summary())


def both(live: Package, frame: pl.DataFrame, predicted: Floats) -> Summary:
    """Of requests and their predictions."""
    total = said(live, predicted).copy()
    total.add(asked(live, frame))
    return total
