"""How far a row is from what the principal components of training can say: its reconstruction error.

A row is standardised, projected on the components and back; the error is the Euclidean distance to where it was, in
standard deviations. It grows where features stop to go together as they did, though each alone may look as ever.

Rules:
- Numeric and boolean features. A category has no place on a line: its frequency would make two rare ones the same, and
  an unseen one is what PSI and the domain classifier see anyway.
- As few components as explain 0.65 of the variance; missing and infinite values are the mean in training, and live a
  missing one is the mean. A value counts as at most 64 standard deviations away.
- The same bits for any batch cut and on any machine, as these errors end in sums that must not depend on order:
  standardised values are whole numbers of 2**-16, components of 2**-20, so that every product and every partial sum is
  a whole number below 2**53, and the order in which a matrix product adds cannot matter.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas.package import Feature, FeatureType, Pca

Floats = NDArray[np.float64]

EXPLAINED = 0.65
MOST_FEATURES = 300
"""By importance; the components of so many are 0.3 MB of a record."""

COUNT, SUM, SQUARES = "reconstructed", "reconstruction_error", "reconstruction_error2"
"""In summaries of features: rows, and the sums of their errors and of the squares."""

_VALUE_STEPS = 2.0**16
_COMPONENT_STEPS = 2.0**20
_FARTHEST = 64.0
_CHUNK_ROWS = 1 << 13  # 20 features: 3 MB at a time; less costs more in calls
_LEAST_FEATURES = 2
_NO_SPREAD = 1e-9  # of a feature, relative to its mean: rounding alone makes as much
_NO_ERROR = 1e-2  # in standard deviations: the steps alone make 1e-4, and no square of an error overflows its sum


def fit_pca(features: Sequence[Feature], training: pl.DataFrame) -> Pca | None:
    """The components of a training frame; None where nothing can be left over, as with one feature that varies."""
    means, scales = {}, {}
    for name in _candidates(features):
        column = _numbers(training, name)
        finite = column[np.isfinite(column)]
        with np.errstate(over="ignore", invalid="ignore"):
            mean, scale = (float(finite.mean()), float(finite.std())) if finite.size else (0.0, 0.0)
        if np.isfinite(scale) and scale > _NO_SPREAD * abs(mean):
            means[name], scales[name] = mean, scale
    if len(means) < _LEAST_FEATURES:
        return None
    components = principal_components(_covariance(training, means, scales))
    steps = np.rint(components * _COMPONENT_STEPS).astype("<i4")
    pca = Pca(tuple(means), tuple(means.values()), tuple(scales.values()), steps.tobytes(), 0.0, 0.0)
    errors = row_errors(pca, training)
    if errors.std() < _NO_ERROR:
        return None
    return Pca(pca.features, pca.means, pca.scales, pca.components, float(errors.mean()), float(errors.std()))


def principal_components(covariance: Floats) -> Floats:
    """Orthonormal rows (m, p), by falling variance, as few as explain 0.65 of it; each points to its largest entry.

    >>> principal_components(np.array([[1.0, 0.5], [0.5, 1.0]])).round(4).tolist()
    [[0.7071, 0.7071]]
    """
    variances, vectors = np.linalg.eigh(covariance)
    explained = np.cumsum(variances[::-1]) / variances.sum()
    count = int(np.searchsorted(explained, EXPLAINED - 1e-12)) + 1
    rows: Floats = vectors[:, ::-1][:, :count].T
    largest = np.abs(rows).argmax(axis=1)
    return np.asarray(rows * np.sign(rows[np.arange(count), largest])[:, np.newaxis])


def row_errors(pca: Pca, features: pl.DataFrame) -> Floats:
    """The reconstruction error of each row; a feature that the frame does not have is missing in every row."""
    components = np.frombuffer(pca.components, "<i4").reshape(-1, len(pca.features)).astype(np.float64)
    errors = np.zeros(features.height)
    for start in range(0, features.height, _CHUNK_ROWS):
        chunk = features.slice(start, _CHUNK_ROWS)
        rows = _standardised(chunk, dict(zip(pca.features, pca.means, strict=True)), pca.scales)
        left = np.einsum("ij,ij->j", rows, rows)  # whole numbers: exact in any order
        scores = components @ rows
        scores /= _COMPONENT_STEPS
        scores *= scores
        for square in scores:  # one after the other: what is rounded must be rounded alike
            left -= square
        errors[start : start + _CHUNK_ROWS] = np.sqrt(np.maximum(left, 0.0)) / _VALUE_STEPS
    return errors


def _candidates(features: Sequence[Feature]) -> list[str]:
    usable = [feature for feature in features if feature.type in (FeatureType.NUMERIC, FeatureType.BOOLEAN)]
    most_important = sorted(usable, key=lambda feature: -feature.importance)[:MOST_FEATURES]
    return [feature.name for feature in usable if feature in most_important]


def _covariance(training: pl.DataFrame, means: dict[str, float], scales: dict[str, float]) -> Floats:
    total = np.zeros((len(means), len(means)))
    for start in range(0, training.height, _CHUNK_ROWS):
        chunk = training.slice(start, _CHUNK_ROWS)
        known = {name: pl.Series(name, _finite(_numbers(chunk, name))) for name in means}
        rows = _standardised(pl.DataFrame(known), means, tuple(scales.values())) / _VALUE_STEPS
        total += rows @ rows.T
    return total / training.height


def _standardised(features: pl.DataFrame, means: dict[str, float], scales: Sequence[float]) -> Floats:
    """Features (first axis) by rows, in whole steps."""
    rows = np.full((len(means), features.height), np.nan)
    for row, name in zip(rows, means, strict=True):
        if name in features.columns:
            row[:] = _numbers(features, name)
    with np.errstate(over="ignore", invalid="ignore"):
        rows -= np.array(list(means.values()))[:, np.newaxis]
        rows *= (_VALUE_STEPS / np.array(scales))[:, np.newaxis]
        np.clip(rows, -_FARTHEST * _VALUE_STEPS, _FARTHEST * _VALUE_STEPS, out=rows)
    np.rint(rows, out=rows)
    rows[np.isnan(rows)] = 0.0
    return rows


def _numbers(features: pl.DataFrame, name: str) -> Floats:
    column = features[name]
    return (column if column.dtype == pl.Float64 else column.cast(pl.Float64, strict=False)).to_numpy()


def _finite(column: Floats) -> Floats:
    return np.where(np.isfinite(column), column, np.nan)
