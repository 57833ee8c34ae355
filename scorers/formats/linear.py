"""Linear models as JSON: an intercept, terms by feature, a link. For fallbacks, and models that people can read.

    eta = intercept + sum of the terms
    identity: eta;  logit: 1 / (1 + exp(-eta));  softmax: exp(eta_c) / sum exp(eta)

A numeric term is `coefficients * (x - mean) / scale`; a missing x counts as `fill`, without one the term is nothing (as
if x were the mean). A categorical term is the coefficients of the row's category, nothing for a category without any; a
missing category is the category `missing`. Boolean features are either: 0 and 1, or "false" and "true".

Terms are added column by column, not by a matrix product: a BLAS rounds a row differently by the size of its batch,
this does not, so a row's prediction is the same bit for bit wherever batches are cut. No matrix is built either.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec
import numpy as np
import polars as pl

from schemas.package import Feature, FeatureType, Package, TargetType
from scorers.formats import Format, FormatError, Predictions

Coefficients = float | tuple[float, ...]


class Link(StrEnum):
    """What makes a prediction of the sum of the terms."""

    IDENTITY = "identity"
    LOGIT = "logit"
    SOFTMAX = "softmax"


class NumericTerm(msgspec.Struct, frozen=True, tag="numeric", forbid_unknown_fields=True):
    """Slope of a number, one per output."""

    coefficients: Coefficients
    mean: float = 0.0
    scale: float = 1.0
    fill: float | None = None


class CategoricalTerm(msgspec.Struct, frozen=True, tag="categorical", forbid_unknown_fields=True):
    """What each category adds, one number per output."""

    coefficients: Mapping[str, Coefficients]
    missing: str = ""


class LinearModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The artifact. A softmax has one number per class wherever the others have a single one.

    >>> model = LinearModel(link=Link.IDENTITY, intercept=1.0, terms={"age": NumericTerm(0.5)})
    >>> msgspec.json.decode(model.artifact())["terms"]
    {'age': {'coefficients': 0.5, 'fill': None, 'mean': 0.0, 'scale': 1.0, 'type': 'numeric'}}
    """

    link: Link
    intercept: Coefficients
    terms: Mapping[str, NumericTerm | CategoricalTerm] = {}

    def artifact(self) -> bytes:
        """The bytes that `load` reads."""
        return msgspec.json.format(msgspec.json.encode(self, order="sorted"), indent=1)


_LINKS = {TargetType.REGRESSION: Link.IDENTITY, TargetType.BINARY: Link.LOGIT, TargetType.MULTICLASS: Link.SOFTMAX}
_STRINGS = (FeatureType.CATEGORICAL, FeatureType.TEXT)


@dataclass(frozen=True, slots=True)
class _Slope:
    feature: str
    rates: Predictions  # (outputs,), already divided by the scale
    mean: float
    fill: float

    def add(self, column: pl.Series, eta: Predictions) -> None:
        x = (column if column.dtype == pl.Float64 else column.cast(pl.Float64)).to_numpy()  # null becomes NaN
        centred = x - self.mean
        missing = np.isnan(x)
        if missing.any():
            centred[missing] = self.fill - self.mean
        eta += self.rates[:, None] * centred


@dataclass(frozen=True, slots=True)
class _Table:
    feature: str
    positions: dict[str, int]
    rates: Predictions  # (outputs, categories + 1); the last is of a category without coefficients
    missing: str

    def add(self, column: pl.Series, eta: Predictions) -> None:
        rest = len(self.positions)
        names = column.cast(pl.String).fill_null(self.missing)
        rows = names.replace_strict(self.positions, default=rest, return_dtype=pl.Int64) if rest else names.len() * [0]
        eta += self.rates[:, np.asarray(rows)]


@dataclass(frozen=True, slots=True)
class _Linear:
    link: Link
    intercept: Predictions  # (outputs,)
    terms: tuple[_Slope | _Table, ...]

    def predict(self, features: pl.DataFrame) -> Predictions:
        eta = np.repeat(self.intercept[:, None], features.height, axis=1)
        for term in self.terms:
            term.add(features[term.feature], eta)
        match self.link:
            case Link.IDENTITY:
                return np.asarray(eta[0])
            case Link.LOGIT:
                with np.errstate(over="ignore"):  # exp(-eta) is inf where the probability is 0
                    return np.stack([1 / (1 + np.exp(eta[0])), 1 / (1 + np.exp(-eta[0]))], axis=1)
            case Link.SOFTMAX:
                return _softmax(eta).T

    def terms_of(self, features: pl.DataFrame) -> Iterator[tuple[str, Predictions]]:
        for term in self.terms:
            found = np.zeros((self.intercept.size, features.height))
            term.add(features[term.feature], found)
            yield term.feature, found


def _softmax(eta: Predictions) -> Predictions:
    odds: Predictions = np.exp(eta - eta.max(axis=0))
    total = odds[0].copy()
    for row in odds[1:]:  # class by class, for the same reason as term by term
        total += row
    return np.asarray(odds / total, dtype=np.float64)


def load(artifact: bytes, package: Package) -> _Linear:
    """The model of a JSON artifact; FormatError where it does not parse, does not fit the package, or is not finite."""
    try:
        model = msgspec.json.decode(artifact, type=LinearModel)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"linear.json cannot be read: {error}") from error
    link = _LINKS[package.target.type]
    if model.link is not link:
        raise FormatError(f"a {package.target.type} target needs the link {link}, linear.json has {model.link}")
    outputs = len(package.target.classes) if link is Link.SOFTMAX else 1
    features = {feature.name: feature for feature in package.features}
    for name in model.terms:
        if name not in features:
            raise FormatError(f"linear.json has a term for {name!r}, which is not a feature of the package")
    terms = tuple(_term(features[name], term, outputs) for name, term in model.terms.items())
    return _Linear(link, _outputs([model.intercept], outputs, "the intercept")[:, 0], terms)


def _term(feature: Feature, term: NumericTerm | CategoricalTerm, outputs: int) -> _Slope | _Table:
    name = feature.name
    if isinstance(term, CategoricalTerm):
        if feature.type is FeatureType.NUMERIC:
            raise FormatError(f"the feature {name!r} is numeric, its term in linear.json is categorical")
        positions = {category: position for position, category in enumerate(term.coefficients)}
        rates = _outputs([*term.coefficients.values(), (0.0,) * outputs], outputs, f"the term of {name!r}")
        return _Table(name, positions, rates, term.missing)
    if feature.type in _STRINGS:
        raise FormatError(f"the feature {name!r} is {feature.type}, its term in linear.json is numeric")
    fill = term.mean if term.fill is None else term.fill
    if not all(map(math.isfinite, (term.mean, term.scale, fill))) or term.scale == 0:
        raise FormatError(f"mean, scale and fill of {name!r} must be finite and the scale not 0")
    rates = _outputs([term.coefficients], outputs, f"the term of {name!r}")[:, 0] / term.scale
    return _Slope(name, rates, term.mean, fill)


def _outputs(given: Iterable[Coefficients], outputs: int, what: str) -> Predictions:
    """Coefficients as (outputs, how many are given)."""
    rows = [(one,) if isinstance(one, float | int) else one for one in given]
    if any(len(row) != outputs for row in rows):
        raise FormatError(f"{what} must have {outputs} number(s), one for each output")
    matrix = np.array(rows, dtype=np.float64).T
    if not np.isfinite(matrix).all():
        raise FormatError(f"{what} has a number that is not finite")
    return matrix


FORMAT = Format(name="linear", artifact_name="linear.json", tolerance=1e-12, load=load)
