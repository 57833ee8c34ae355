"""The demo's models: served as they were trained, fast, and not all equally good."""

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from infra.demo.bookings import known_before_live
from infra.demo.questions import QUESTIONS, Question
from infra.demo.train import Trained, train
from schemas.package import Package, TargetType
from scorers.formats.onnx import FORMAT

ALL = {question.deployment: train(question) for question in QUESTIONS}
MODELS = [pytest.param(one, id=one.name) for models in ALL.values() for one in models]


def predicted(model: Trained, features: pl.DataFrame) -> NDArray[np.float64]:
    package = Package(model.name, "1", "", model.question.target, model.features, "onnx")
    return np.asarray(FORMAT.load(model.onnx, package).predict(features))


def loss(model: Trained) -> float:
    """Squared error, or minus the log of the true class's probability; means over the holdout."""
    truth = model.holdout[model.question.target.name]
    if model.question.target.type is TargetType.REGRESSION:
        return float(np.mean((model.predicted - truth.to_numpy()) ** 2))
    column = truth.replace_strict(model.question.target.classes, range(model.predicted.shape[1])).to_numpy()
    return float(-np.mean(np.log(np.maximum(model.predicted[np.arange(column.size), column], 1e-9))))


@pytest.mark.parametrize("model", MODELS)
def test_the_served_model_predicts_on_holdout_what_was_measured_there(model: Trained) -> None:
    served = predicted(model, model.holdout)
    assert served.shape == model.predicted.shape
    np.testing.assert_allclose(served, model.predicted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("model", MODELS)
def test_an_unseen_category_and_a_missing_number_are_scored(model: Trained) -> None:
    strange = model.holdout.head(3).with_columns(hotel=pl.lit("Moon Hotel"), children=pl.lit(None, pl.Float64))
    assert np.isfinite(predicted(model, strange)).all()


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.deployment)
def test_each_question_has_a_champion_and_two_challengers_of_which_one_is_weak(question: Question) -> None:
    models = ALL[question.deployment]
    assert len({model.name for model in models}) == 3
    assert models[-1].name.endswith("two-features")
    assert loss(models[-1]) > 1.2 * max(loss(model) for model in models[:2])


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.deployment)
def test_copies_of_a_booking_are_not_on_both_sides(question: Question) -> None:
    model = ALL[question.deployment][0]
    known = known_before_live()
    assert model.train.height + model.holdout.height == known.height
    held_out = known.filter(pl.col("copy_of") % 4 == 0)
    assert model.holdout.height == held_out.height
    assert set(held_out["copy_of"]).isdisjoint(known.filter(pl.col("copy_of") % 4 != 0)["copy_of"])


def test_training_again_gives_the_same_model() -> None:
    question = QUESTIONS[1]
    again = train(question)
    assert [model.onnx for model in again] == [model.onnx for model in ALL[question.deployment]]
