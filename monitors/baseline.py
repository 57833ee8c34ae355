"""The frozen baseline of a model package: what was normal in training, and how good the model was on holdout.

Metrics on holdout come from the same folds and the same metric code as live ones. Units of fixed-point sums are found
first, from the terms themselves, as everything else is folded in them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import ArrayLike, NDArray

from monitors.bins import TOP_CATEGORIES, boolean_bins, categorical_bins, numeric_bins, prediction_bins
from monitors.clipping import with_clipped
from monitors.estimate.holdout import with_expectations
from monitors.fixed_point import unit_near
from monitors.folds.answers import predicted_outputs
from monitors.folds.losses import BOUNDED, row_losses
from monitors.folds.outcomes import fold_outcomes
from monitors.folds.sampled import training_sample
from monitors.folds.terms import actual_codes, contributions
from monitors.metrics import metrics_of
from monitors.reconstruction import SQUARES, SUM, fit_pca
from monitors.summary import Summary
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.package import Baseline, Bins, CategoricalBins, Feature, FeatureType, Package, Pca, Target, TargetType

_LOSS_QUANTILE = 0.999


def build_baseline(
    features: Sequence[Feature],
    target: Target,
    training: pl.DataFrame,
    holdout_actuals: ArrayLike | Sequence[str],
    holdout_predictions: ArrayLike,
    *,
    top_categories: int = TOP_CATEGORIES,
    holdout: pl.DataFrame | None = None,
) -> Baseline:
    """The baseline of a model from its training rows and its predictions on holdout.

    `training` has a column for each feature. Regression: actuals and predictions are numbers. Binary: actuals are class
    labels, predictions P(positive) as n numbers or n x 2 probabilities. Multiclass: labels, and n x C probabilities in
    the order of the target's classes. The `top_categories` most frequent categories have bins of their own. `holdout`
    are the features of the holdout rows, for the error model of a regression: without them there is none.
    ValueError where the lengths of actuals and predictions differ.
    """
    outcomes = holdout_outcomes(target, holdout_actuals, np.asarray(holdout_predictions, np.float64))
    said = outcomes["predictions"].explode().struct.unnest()
    truths = pl.concat([said, outcomes.select(truth_value="value", truth_label="label")], how="horizontal")
    bins = prediction_bins(target, predicted_outputs(said, target))
    known = Baseline(
        rows=training.height,
        features={feature.name: feature_bins(feature, training[feature.name], top_categories) for feature in features},
        prediction=bins,
        holdout=_centre(target, truths),
        holdout_rows=outcomes.height,
        target=_target_bins(target, truths),
        pca=fit_pca(features, training),
    )
    if training.height:
        known = replace(known, sample=training_sample(training, known.features).encode())
    known = replace(known, loss_scale=_loss_scale(truths, _package(features, target, known)))
    known = replace(known, units=_units(truths, _package(features, target, known)) | _error_units(known.pca))
    known = with_expectations(truths, _package(features, target, known), holdout)
    return replace(known, holdout=_metrics(outcomes, _package(features, target, known)) | known.holdout)


def feature_bins(feature: Feature, column: pl.Series, top_categories: int = TOP_CATEGORIES) -> Bins:
    """The bins of a training column by the type of its feature; text is a category."""
    if feature.type is FeatureType.NUMERIC:
        values = column.cast(pl.Float64).to_numpy()
        return with_clipped(numeric_bins(values), values)
    if feature.type is FeatureType.BOOLEAN:
        return boolean_bins(column)
    return categorical_bins(column, top_categories)


def _package(features: Sequence[Feature], target: Target, baseline: Baseline) -> Package:
    return Package("", "", "", target, tuple(features), "", baseline)


def holdout_outcomes(
    target: Target,
    actuals: ArrayLike | Sequence[str],
    said: NDArray[np.float64],
    segments: Sequence[Sequence[str]] | None = None,
) -> pl.DataFrame:
    """Holdout as the outcomes that it would have been live: every prediction matched, of the model "".

    `segments`: those of each row; None: no row has any. ValueError where the lengths differ.
    """
    rows = len(said)
    nothing: dict[str, pl.Series] = {
        "label": pl.Series([None] * rows, dtype=pl.String),
        "value": pl.Series([None] * rows, dtype=pl.Float64),
    }
    truth = pl.Series(actuals, strict=False) if isinstance(actuals, Sequence) else pl.Series(np.asarray(actuals))
    if len(truth) != rows:
        message = f"{len(truth)} actuals but {rows} predictions on holdout"
        raise ValueError(message)
    is_number = target.type is TargetType.REGRESSION
    known = {"value": truth.cast(pl.Float64)} if is_number else {"label": truth.cast(pl.String)}
    answer = {"value": pl.Series(said)} if said.ndim == 1 else {}
    probabilities = [[]] * rows if said.ndim == 1 else said.tolist()
    predictions = pl.DataFrame(nothing | answer).with_columns(
        model=pl.lit(""),
        shadow=pl.lit(value=False),
        probabilities=pl.Series(probabilities, dtype=pl.List(pl.Float64)),
        timestamp_ms=pl.lit(0, pl.Int64),
        segments=pl.Series([[]] * rows if segments is None else segments, dtype=pl.List(pl.String)),
    )
    return pl.DataFrame(nothing | known).with_columns(
        kind=pl.lit("matched"),
        timestamp_ms=pl.lit(0, pl.Int64),
        previous_value=pl.lit(None, pl.Float64),
        previous_label=pl.lit(None, pl.String),
        predictions=_one_each(predictions.to_struct()),
    )


def _one_each(structs: pl.Series) -> pl.Series:
    """Lists of one."""
    if structs.is_empty():
        return pl.Series([], dtype=pl.List(structs.dtype))
    return structs.reshape((len(structs), 1)).arr.to_list()


def _target_bins(target: Target, truths: pl.DataFrame) -> Bins | None:
    """Bins of the actuals on holdout; None where there are none."""
    if truths.is_empty():
        return None
    if target.type is TargetType.REGRESSION:
        return numeric_bins(truths["truth_value"].to_numpy())
    codes = actual_codes(truths, target)
    counts = np.bincount(codes[codes >= 0], minlength=len(target.classes) + 3)
    return CategoricalBins(target.classes, tuple(counts.tolist()))


def _centre(target: Target, truths: pl.DataFrame) -> dict[str, float]:
    """What a regression's actuals are measured from; see `monitors.folds.terms.centre`."""
    if target.type is not TargetType.REGRESSION:
        return {}
    actual = truths["truth_value"].to_numpy()
    finite = actual[np.isfinite(actual)]
    return {"actual_mean": float(finite.mean())} if finite.size else {}


def _loss_scale(truths: pl.DataFrame, package: Package) -> float:
    """What a row's loss hardly exceeds; 0 where losses are bounded anyway, or on no holdout."""
    if package.target.type in BOUNDED or truths.is_empty():
        return 0.0
    losses = row_losses(truths, package)
    known = losses[np.isfinite(losses)]
    return float(np.quantile(known, _LOSS_QUANTILE)) if known.size else 0.0


def _units(truths: pl.DataFrame, package: Package) -> dict[str, float]:
    sums = contributions(truths, package).sums
    return {name: unit_near(term[usable]) for name, (term, usable) in sums.items()}


def _error_units(pca: Pca | None) -> dict[str, float]:
    if pca is None:
        return {}
    square = np.array([pca.error_mean**2 + pca.error_sd**2])
    return {SUM: unit_near(np.sqrt(square)), SQUARES: unit_near(square)}


def _metrics(outcomes: pl.DataFrame, package: Package) -> dict[str, float]:
    folded = fold_outcomes(outcomes, {package.digest: package}, Span.DAY)
    summary = folded.get((Kind.ACCURACY, package.digest, "", 0), Summary())
    found = {
        metric.name: metric.compute(summary, package, "").value
        for metric in metrics_of(package)
        if metric.kind is Kind.ACCURACY and not metric.live
    }
    return {name: value for name, value in found.items() if value is not None}
