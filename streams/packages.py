"""From a model and its data to a registered package: baseline, archive, artifact store, command."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from monitors.attribution import with_attributions
from monitors.baseline import build_baseline, holdout_outcomes
from monitors.bins import TOP_CATEGORIES
from monitors.fair_holdout import holdout_groups
from monitors.noise import with_answer_noise, with_noise
from schemas.deployment import Deployment, Model, RegisterPackage, Settings
from schemas.package import FeatureType, TargetType
from scorers.explanations import centres_of, explain
from scorers.package import build, load, read_package
from scorers.permutation import with_importance
from scorers.scoring import score
from scorers.segments import segments_of
from streams.client import Refused, command, submit

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from numpy.typing import NDArray

    from infra.artifacts import ArtifactStore
    from schemas.package import Package
    from streams.connection import Connection

GOLDEN_ROWS = 20


def build_package(
    metadata: Package,
    artifact: bytes,
    training: pl.DataFrame,
    holdout: pl.DataFrame,
    actuals: Sequence[object],
    times: pl.Series | None = None,
    protected: Sequence[str] = (),
    *,
    top_categories: int = TOP_CATEGORIES,
) -> bytes:
    """The archive of a model with its baseline.

    `training` and `holdout` have a column for each feature; `actuals` are the truth of the holdout rows (numbers, or
    class labels); `times`, of the training rows, anything that sorts. The baseline's bins are of the training rows, its
    metrics of the model's own predictions on holdout; the first holdout rows become the golden rows. Where no feature
    has an importance, it is measured on holdout. Of `protected` features (not numeric ones: ValueError) the
    baseline holds what the model gave each group on holdout. The `top_categories` most frequent values of a category
    have bins of their own, the others of training share one. What is drawn at random is drawn from a seed of model and
    metadata, so that the same content gives the same archive. What moved the predictions is measured where the model
    explains itself.
    """
    golden = holdout.head(GOLDEN_ROWS)
    plain = build(metadata, artifact, golden)
    rng = np.random.default_rng(list(hashlib.sha256(plain).digest()))
    loaded = load(plain)
    scores = score(loaded, holdout)
    said = scores.values if metadata.target.type is TargetType.REGRESSION else scores.probabilities
    baseline = build_baseline(
        metadata.features,
        metadata.target,
        training,
        np.asarray(actuals),
        np.asarray(said, np.float64),
        top_categories=top_categories,
        holdout=holdout,
    )
    features = metadata.features
    if (centres := centres_of(loaded, holdout)) is not None and (told := explain(loaded, holdout, scores, centres)):
        baseline = with_attributions(baseline, told, centres)
    if not any(feature.importance for feature in features):
        features = with_importance(loaded, holdout, actuals, rng)
    quiet = with_answer_noise(with_noise(baseline, training, rng, times), metadata.target, rng)
    known = msgspec.structs.replace(metadata, features=features, baseline=quiet)
    if protected:
        groups = _holdout_groups(known, holdout, actuals, np.asarray(said, np.float64), protected)
        known = msgspec.structs.replace(known, baseline=msgspec.structs.replace(known.baseline, groups=groups))
    return build(known, artifact, golden)


def _holdout_groups(
    package: Package,
    holdout: pl.DataFrame,
    actuals: Sequence[object],
    said: NDArray[np.float64],
    protected: Sequence[str],
) -> dict[str, bytes]:
    """By segment; the segments are those that requests with these features are in."""
    types = {feature.name: feature.type for feature in package.features}
    for name in protected:
        if types.get(name, FeatureType.NUMERIC) is FeatureType.NUMERIC:
            message = f"{name} cannot be protected: it is not a categorical, boolean or text feature of the package"
            raise ValueError(message)
    model = Model(package.digest, package.name, package.version)
    settings = Settings(segments=tuple(protected))
    split = Deployment("", 0, package.target, package.features, model, settings=settings)
    segments = segments_of(split, package, holdout, {})
    outcomes = holdout_outcomes(package.target, np.asarray(actuals), said, segments)
    return holdout_groups(outcomes, package)


def register(connection: Connection, store: ArtifactStore, archive: bytes) -> Package:
    """Put a package in the store and make it known; registering it again changes nothing."""
    package = read_package(archive)
    store.put(archive)
    try:
        submit(connection, command(package.digest, RegisterPackage(package)))
    except Refused as refusal:
        if "already" not in str(refusal):
            raise
    return package
