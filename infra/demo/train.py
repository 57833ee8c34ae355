"""A champion and two challengers for each question: scikit-learn pipelines as ONNX, trained on what was known in time.

Rules:
- Trained on bookings made before `LIVE_DAY` whose outcome was in by then (13,543); a quarter of them is held out.
  Copies of a booking fall on the same side, or the holdout would repeat what was trained on.
- One ONNX input per feature, in single precision, which the models are also trained in: what is measured on holdout is
  what will serve.
- The same bookings give the same models: no early stopping, seeds fixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from infra.demo.bookings import known_before_live
from infra.demo.questions import CANCELLATION, OUTCOME, PRICE, Question
from schemas.package import Feature, FeatureType, TargetType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

CHAMPION_OF = {CANCELLATION: "boosted", PRICE: "linear", OUTCOME: "boosted"}
"""`booking-price` starts with its simple model, so that there is a reason to replace it half way."""

_WEAK_FEATURES = ("hotel", "lead_time")
_BOOSTING = {"max_depth": 4, "learning_rate": 0.15, "subsample": 0.5, "max_features": 0.4, "random_state": 0}
_OPSET = {"": 21, "ai.onnx.ml": 3}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one model of a question is made. Trees need no scaling, the others do."""

    name: str
    description: str
    scaled: bool
    estimator: Callable[[Question], Any]
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trained:
    """A model as its package needs it.

    `train` and `holdout` have the columns of `features` and the truth (named as the target), `made_ms` is when each
    booking of `train` was made. `predicted` is of the holdout: values, or probabilities in the order of the target's
    classes.
    """

    question: Question
    name: str
    description: str
    features: tuple[Feature, ...]
    onnx: bytes
    train: pl.DataFrame
    made_ms: pl.Series
    holdout: pl.DataFrame
    predicted: NDArray[np.float64]
    hyperparameters: dict[str, str]


def train(question: Question) -> list[Trained]:
    """The champion first, then its challengers, the weak one last."""
    known = known_before_live()
    held_out = pl.col("copy_of") % 4 == 0
    sides = [known.filter(side) for side in (~held_out, held_out)]
    champion = CHAMPION_OF[question]
    recipes = sorted(RECIPES, key=lambda recipe: recipe.name != champion)
    return [_trained(question, recipe, *sides) for recipe in recipes]


def _boosted(question: Question) -> Any:  # noqa: ANN401  # scikit-learn has no types
    if question.target.type is TargetType.REGRESSION:
        return GradientBoostingRegressor(n_estimators=60, **_BOOSTING)
    rounds = 60 if question.target.type is TargetType.BINARY else 30  # each round has a tree for each class
    return GradientBoostingClassifier(n_estimators=rounds, **_BOOSTING)


def _linear(question: Question) -> Any:  # noqa: ANN401  # the same
    if question.target.type is TargetType.REGRESSION:
        return Ridge()
    return LogisticRegression(C=0.1, tol=1e-3, max_iter=300)


RECIPES = (
    Recipe("boosted", "Gradient-boosted trees on all features.", scaled=False, estimator=_boosted),
    Recipe("linear", "A regularised linear model on all features.", scaled=True, estimator=_linear),
    Recipe(
        "two-features",
        "Deliberately weak: hotel and lead time only, to have something to lose against.",
        scaled=True,
        estimator=_linear,
        only=_WEAK_FEATURES,
    ),
)


def _with_truth(known: pl.DataFrame, question: Question) -> pl.DataFrame:
    features = [feature.name for feature in question.features]
    return known.select(*features, pl.col(question.truth).alias(question.target.name))


def _trained(question: Question, recipe: Recipe, to_train: pl.DataFrame, held_out: pl.DataFrame) -> Trained:
    train_side, holdout = (_with_truth(side, question) for side in (to_train, held_out))
    features = tuple(one for one in question.features if not recipe.only or one.name in recipe.only)
    estimator = recipe.estimator(question)
    pipeline = make_pipeline(_preparation(features, scaled=recipe.scaled), estimator)
    pipeline.fit(_inputs(train_side, features), train_side[question.target.name].to_numpy())
    is_number = question.target.type is TargetType.REGRESSION
    predict = pipeline.predict if is_number else pipeline.predict_proba
    shown = {"estimator": type(estimator).__name__, **{name: str(value) for name, value in _settings(estimator)}}
    return Trained(
        question,
        f"{question.deployment}-{recipe.name}",
        recipe.description,
        features,
        to_onnx(
            pipeline,
            initial_types=[(feature.name, _onnx_type(feature)) for feature in features],
            options=None if is_number else {"zipmap": False},
            target_opset=_OPSET,
        ).SerializeToString(),
        train_side,
        to_train["made_ms"],
        holdout,
        np.asarray(predict(_inputs(holdout, features)), np.float64),
        shown,
    )


def _preparation(features: tuple[Feature, ...], *, scaled: bool) -> Any:  # noqa: ANN401  # scikit-learn has no types
    numbers = [feature.name for feature in features if feature.type is not FeatureType.CATEGORICAL]
    categories = [feature.name for feature in features if feature.type is FeatureType.CATEGORICAL]
    steps = [SimpleImputer(strategy="median"), *([StandardScaler()] if scaled else [])]
    unseen_is_none = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32)
    return ColumnTransformer([("numbers", make_pipeline(*steps), numbers), ("categories", unseen_is_none, categories)])


def _inputs(frame: pl.DataFrame, features: tuple[Feature, ...]) -> pl.DataFrame:
    return frame.select(
        pl.col(feature.name) if feature.type is FeatureType.CATEGORICAL else pl.col(feature.name).cast(pl.Float32)
        for feature in features
    )


def _onnx_type(feature: Feature) -> Any:  # noqa: ANN401  # skl2onnx has no types
    kind = StringTensorType if feature.type is FeatureType.CATEGORICAL else FloatTensorType
    return kind([None, 1])


def _settings(estimator: Any) -> Iterator[tuple[str, object]]:  # noqa: ANN401  # scikit-learn has no types
    """What was set of its parameters, defaults left out."""
    usual = type(estimator)().get_params()
    return ((name, value) for name, value in estimator.get_params().items() if value != usual[name])
