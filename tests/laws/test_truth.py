"""What the chain says in the end is what numpy and scikit-learn make of the final truth, in one go.

Predictions are asked for twice; actuals are told twice, corrected, withdrawn, told again, come before their predictions
or after their windows have closed, are no class at all, or never come. Topics interleave, batches are cut anywhere,
and the evaluator reads the deltas in any order, with windows closing in between.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from math import isclose
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from schemas.deployment import HOUR_MS, MINUTE_MS
from schemas.observation import AccuracyState, Metric
from schemas.package import Target, TargetType
from tests.laws.truth_scene import DOLLARS, START, Chain, Place, predicted_class, probabilities
from tests.unit.monitors.join_scene import CHAMPION, FIRST, Actual, Prediction

BINARY = Target("late", TargetType.BINARY, ("0", "1"))
OF_THREE = Target("kind", TargetType.MULTICLASS, ("0", "1", "2"))
PRICE = Target("price", TargetType.REGRESSION)
LEAST = 1e-15  # where log loss is cut
Values = dict[str, float | None]

ids = st.integers(0, 9).map(str)
scores = st.integers(0, 16).map(lambda number: number / 16)
times_ms = st.integers(0, 170).map(lambda minute: START + minute * MINUTE_MS + 7)
segments = st.sampled_from(["carrier=AA", "carrier=DL"])
requests = st.lists(st.tuples(ids, times_ms, segments, scores, st.none() | scores), min_size=1, max_size=25)
given_labels = st.sampled_from(["0", "1", "1", "2", "maybe"])
given_numbers = st.sampled_from([0.0, 1.0, 2.0, 0.5])
tellings = st.tuples(ids, st.integers(0, 300), given_labels | given_numbers | st.none())


@pytest.mark.parametrize("target", [BINARY, OF_THREE, PRICE], ids=lambda target: target.type.value)
@settings(deadline=None, max_examples=60)  # tables of frames, on machines that do other things too
@given(requests, st.lists(tellings, max_size=30), st.integers(0, 2**32).map(Random))
def test_the_last_word_on_each_window_is_a_batch_computation_of_the_final_truth(
    target: Target,
    asked: list[tuple[str, int, str, float, float | None]],
    told: list[tuple[str, int, str | float | None]],
    rng: Random,
) -> None:
    served, shadows, actuals = log_of(asked), shadows_of(asked), [actual_of(*one) for one in told]
    chain = Chain(target)
    for batch in batches([served, shadows, actuals], rng):
        chain.read(batch)
    chain.sweep()
    chain.evaluate(rng)
    wanted = truth([*served, *shadows], actuals, target)
    assert chain.said.keys() == wanted.keys()
    for place, expected in wanted.items():
        said = chain.said[place]
        assert other(said, expected) == {}, place
        assert [m for m in said.values() if not (m.closed and m.state is AccuracyState.FINAL)] == []
        assert {metric.coverage for metric in said.values()} == {expected["coverage"]}


def other(said: dict[str, Metric], expected: Values) -> dict[str, tuple[float | None, float | None]]:
    """What is said and what was expected, where the two are not the same."""
    pairs = {name: (said[name].value, value) for name, value in expected.items()}
    return {
        name: (found, value)
        for name, (found, value) in pairs.items()
        if (found is None or value is None or not isclose(found, value, rel_tol=1e-9, abs_tol=1e-9)) and found != value
    }


# ---------------------------------------------------------------- what is on the log
def log_of(asked: list[tuple[str, int, str, float, float | None]]) -> list[Prediction]:
    return [
        Prediction(id_, CHAMPION, p, offset, timestamp_ms=at_ms, segments=(segment,))
        for offset, (id_, at_ms, segment, p, _) in enumerate(asked)
    ]


def shadows_of(asked: list[tuple[str, int, str, float, float | None]]) -> list[Prediction]:
    return [
        Prediction(id_, FIRST, p, offset, shadow=True, timestamp_ms=at_ms, segments=(segment,))
        for offset, (id_, at_ms, segment, _, p) in enumerate(asked)
        if p is not None
    ]


def actual_of(id_: str, minute: int, answer: str | float | None) -> Actual:
    label = answer if isinstance(answer, str) else None
    value = answer if isinstance(answer, float) else None
    at_ms = START + minute * MINUTE_MS
    return Actual(label, id_, at_ms, withdrawn=answer is None, value=value, received_ms=at_ms)


def batches(logs: list[list[Any]], rng: Random) -> list[list[Any]]:
    """The logs in some interleaving, each in its order, cut somewhere."""
    turns = [log for log, records in enumerate(logs) for _ in records]
    rng.shuffle(turns)
    readers = [iter(log) for log in logs]
    mixed = [next(readers[turn]) for turn in turns]
    cuts = sorted({0, len(mixed), *(rng.randrange(len(mixed)) for _ in range(rng.randrange(8)))})
    return [mixed[start:end] for start, end in pairwise(cuts)]


# ---------------------------------------------------------------- what is true in the end
def truth(predictions: list[Prediction], actuals: list[Actual], target: Target) -> dict[Place, Values]:
    """By place; the first prediction of each model and association counts, and the last actual."""
    last = {actual.id: meaning(actual, target) for actual in actuals}
    first: set[tuple[str, str]] = set()
    rows: defaultdict[Place, list[tuple[float, float | str | None]]] = defaultdict(list)
    repeated: defaultdict[Place, int] = defaultdict(int)
    for said in predictions:
        for segment in ("", *said.segments):
            place = said.model, segment, said.timestamp_ms // HOUR_MS * HOUR_MS
            if (said.model, said.id) in first:
                repeated[place] += 1
            else:
                rows[place].append((said.p, last.get(said.id)))
        first.add((said.model, said.id))
    return {place: values(rows[place], repeated[place], target) for place in {*rows, *repeated}}


def meaning(actual: Actual, target: Target) -> float | str | None:
    """A number, or the place of a class; "invalid", or None where it was withdrawn."""
    if actual.withdrawn:
        return None
    if target.type is TargetType.REGRESSION:
        return "invalid" if actual.value is None else actual.value
    name = actual.label if actual.value is None else f"{actual.value:g}"
    return float(target.classes.index(name)) if name in target.classes else "invalid"


def values(rows: list[tuple[float, float | str | None]], repeated: int, target: Target) -> Values:
    known = [(p, y) for p, y in rows if isinstance(y, float)]
    invalid, nothing = sum(y == "invalid" for _, y in rows), sum(y is None for _, y in rows)
    p, y = np.array([p for p, _ in known]), np.array([y for _, y in known])
    found: Values = {
        "coverage": share(len(known), len(rows)),
        "expired_rate": share(nothing, len(rows)),
        "invalid_actual_rate": share(invalid, len(known) + invalid),
        "repeated_rate": share(repeated, len(rows) + repeated),
    }
    of = {TargetType.BINARY: binary, TargetType.MULTICLASS: of_three, TargetType.REGRESSION: numbers}[target.type]
    return found | of(p, y)


def share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def binary(p: Any, y: Any) -> Values:  # noqa: ANN401  # arrays of scikit-learn's making and ours
    said = np.array([predicted_class(one, 2) for one in p], np.float64)
    n, both = len(y), len(set(y)) == 2
    tn, fp, fn, tp = reference.confusion_matrix(y, said, labels=[0, 1]).ravel().tolist() if n else (0, 0, 0, 0)
    cut = np.clip(p, LEAST, 1 - LEAST)
    area = float(reference.roc_auc_score(y, p)) if both else None
    return {
        "accuracy": share(tp + tn, n),
        "positive_rate": share(tp + fn, n),
        "log_loss": float(reference.log_loss(y, cut, labels=[0, 1])) if n else None,
        "brier": float(reference.brier_score_loss(y, p, pos_label=1)) if n else None,
        "auc": area,
        "gini": None if area is None else 2 * area - 1,
        "f1": float(reference.f1_score(y, said)) if tp + fp + fn else None,
        "precision": share(tp, tp + fp),
        "recall": share(tp, tp + fn),
        "specificity": share(tn, tn + fp),
        "false_positive_rate": share(fp, tn + fp),
        "negative_predictive_value": share(tn, tn + fn),
        "balanced_accuracy": float(reference.balanced_accuracy_score(y, said)) if both else None,
        "mcc": float(reference.matthews_corrcoef(y, said)) if both and len(set(said)) == 2 else None,
    }


def of_three(p: Any, y: Any) -> Values:  # noqa: ANN401  # arrays
    if not len(y):
        return dict.fromkeys(["accuracy", "log_loss", "balanced_accuracy", "recall_macro", "recall_weighted"])
    said = np.array([predicted_class(one, 3) for one in p], np.float64)
    chances = np.clip([probabilities(one, 3) for one in p], LEAST, 1 - LEAST)
    losses = -np.log(chances[np.arange(len(y)), y.astype(int)])
    there = sorted(set(y))
    recalls = reference.recall_score(y, said, labels=there, average=None, zero_division=0)
    return {
        "accuracy": float(reference.accuracy_score(y, said)),
        "log_loss": float(losses.mean()),
        "balanced_accuracy": float(recalls.mean()),
        "recall_macro": float(recalls.mean()),
        "recall_weighted": float(reference.accuracy_score(y, said)),
        "f1_macro": float(reference.f1_score(y, said, labels=there, average="macro", zero_division=0)),
        "f1_weighted": float(reference.f1_score(y, said, labels=there, average="weighted", zero_division=0)),
    }


def numbers(p: Any, y: Any) -> Values:  # noqa: ANN401  # arrays
    if not len(y):
        return dict.fromkeys(["rmse", "mae", "bias", "actual_mean", "r2"])
    said = p * DOLLARS
    return {
        "rmse": float(reference.root_mean_squared_error(y, said)),
        "mae": float(reference.mean_absolute_error(y, said)),
        "bias": float((said - y).mean()),
        "actual_mean": float(y.mean()),
        "r2": float(reference.r2_score(y, said)) if len(set(y)) > 1 else None,
    }
