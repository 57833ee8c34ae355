"""Explanations: what the value of each feature moved a prediction by, from models that are sums of terms.

An attribution is the feature's term less its mean on holdout, frozen in the package: the exact Shapley value of a model
that is a sum of terms, features taken as independent (Strumbelj and Kononenko, KAIS 2014; "linear SHAP" of Lundberg and
Lee, NeurIPS 2017). It is on the scale on which terms add up: of a regression the target's unit, else log-odds. So

    sum of a row's attributions = its sum of terms - the mean sum on holdout

Binary: of the positive class. Multiclass: of the predicted class, beside the mean of all classes, as adding the same to
each class changes no probability. A feature without a term has moved nothing: 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas.explanations import Explanations
from scorers.formats import Additive
from scorers.package import LoadedPackage
from scorers.scoring import Scores

Centres = Mapping[str, tuple[float, ...]]


def centres_of(loaded: LoadedPackage, features: pl.DataFrame) -> dict[str, tuple[float, ...]] | None:
    """The mean of each feature's term in each output over some rows; None for a model that is no sum of terms.

    None, too, where there are no rows, or a mean is not finite.
    """
    if not isinstance(loaded.model, Additive) or not features.height:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        found = {name: tuple(terms.mean(axis=1).tolist()) for name, terms in loaded.model.terms_of(features)}
    return found if np.isfinite([mean for means in found.values() for mean in means]).all() else None


def explain(
    loaded: LoadedPackage, features: pl.DataFrame, scores: Scores, centres: Centres | None = None
) -> Explanations | None:
    """The attributions of every feature of the package, in its order; None where the model is no sum of terms.

    `features` and `scores` are row by row of each other; rows that failed are as if they were any. `centres`: those
    of the package, if not given; None, too, where it has none.
    """
    known = loaded.package.baseline.attributions
    if centres is None and known is not None:
        centres = known.centres
    if centres is None or not isinstance(loaded.model, Additive):
        return None
    names = tuple(feature.name for feature in loaded.package.features)
    places = {name: place for place, name in enumerate(names)}
    found = np.zeros((len(names), features.height))
    chosen = None if scores.probabilities is None else scores.probabilities.argmax(axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        for name, terms in loaded.model.terms_of(features):
            beside = terms - np.array(centres.get(name, (0.0,) * len(terms)))[:, None]
            found[places[name]] = beside[0] if len(beside) == 1 else _of_class(beside, chosen)
    return Explanations(names, found.T)


def _of_class(terms: NDArray[np.float64], chosen: NDArray[np.intp] | None) -> NDArray[np.float64]:
    """The terms of each row's class, less the mean of all classes, added class by class: the same bits in any batch."""
    mean = terms[0].copy()
    for row in terms[1:]:
        mean += row
    mean /= len(terms)
    taken: NDArray[np.float64] = terms[chosen, np.arange(terms.shape[1])] - mean
    return taken
