"""Fairness against its definitions by hand, its intervals by simulation, and what it says when it cannot tell."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import isfinite
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as judge

from monitors.baseline import build_baseline, holdout_outcomes
from monitors.bins import SCORE_EDGES
from monitors.fair_holdout import holdout_groups, holdout_tallies
from monitors.folds import fold_outcomes, fold_predictions
from monitors.folds.groups import SummaryKey
from monitors.metrics import METRICS
from monitors.metrics.parity import (
    QUANTITIES,
    Groups,
    Parity,
    amount,
    fair_status,
    mean_score,
    parity,
    proportion,
    ratio,
)
from monitors.metrics.protocol import Value
from monitors.metrics.tallies import MeanScore, Tally, tally
from monitors.summary import Summary
from schemas.deployment import Settings, Span
from schemas.fairness import Fairness
from schemas.observation import Kind, Reason, Status
from schemas.package import Package, Target, TargetType
from tests.unit.monitors.fold_frames import outcomes, package, predictions, said

HIRED = Target("hired", TargetType.BINARY, ("no", "yes"))
RISK = Target("risk", TargetType.MULTICLASS, ("low", "middle", "high"))
SEXES = ("f", "m", "x")
ROWS = 3_000
EXACT = 1e-9
RATES = sorted(name for name in QUANTITIES if not name.endswith("balance"))
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@cache
def people(seed: int = 0) -> tuple[NDArray[np.str_], Floats, Flags]:
    """Group, score and truth of rows; the model scores "f" lower than the truth asks for."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(SEXES, ROWS, p=[0.45, 0.45, 0.1])
    skill = rng.normal(size=ROWS)
    scores = 1 / (1 + np.exp(-(1.5 * skill - 0.8 * (sex == "f"))))
    return sex, scores, rng.random(ROWS) < 1 / (1 + np.exp(-1.5 * skill))


def folded(
    sex: NDArray[np.str_], answers: list[dict[str, Any]], truth: list[str], of: Package
) -> dict[SummaryKey, Summary]:
    asked = [
        {**{name: answer[name] for name in ("value", "label", "probabilities")}, "segments": [f"sex={one}"]}
        for one, answer in zip(sex, answers, strict=True)
    ]
    told = [
        {"kind": "matched", "label": label, "predictions": [answer | {"segments": [f"sex={one}"]}]}
        for one, answer, label in zip(sex, answers, truth, strict=True)
    ]
    found = fold_predictions(predictions(asked), of, Span.DAY)
    for key, summary in fold_outcomes(outcomes(told), {"m": of}, Span.DAY).items():
        found.setdefault(key, Summary()).add(summary)
    return found


def tallies(found: dict[SummaryKey, Summary], of: Package, declared: Fairness) -> dict[Kind, dict[str, Tally]]:
    return {
        kind: {
            segment: tally(kind, summary, of, declared)
            for (each, _, segment, _), summary in found.items()
            if each is kind and segment
        }
        for kind in (Kind.PREDICTIONS, Kind.ACCURACY)
    }


def compared(name: str, of: dict[Kind, dict[str, Tally]], segment: str, reference: str = "") -> Parity:
    kind, quantity = QUANTITIES[name]
    return parity(Groups(segment, of[kind], reference), quantity)


def by_hand(truth: Flags, called: Flags, scores: Floats) -> dict[str, float]:
    """The rates of one group, by scikit-learn and by plain means; `called` and `scores` are of what is favourable."""
    return {
        "proportional_parity": float(called.mean()),
        "equal_parity": float(called.sum()),
        "favourable_balance": float(scores[truth].mean()),
        "unfavourable_balance": float(scores[~truth].mean()),
        "true_favourable_rate_parity": judge.recall_score(truth, called),
        "true_unfavourable_rate_parity": judge.recall_score(~truth, ~called),
        "favourable_predictive_value_parity": judge.precision_score(truth, called),
        "unfavourable_predictive_value_parity": judge.precision_score(~truth, ~called),
    }


def check(of: dict[Kind, dict[str, Tally]], expected: dict[str, dict[str, float]]) -> None:
    for name, (kind, _) in QUANTITIES.items():
        rates = {segment: values[name] for segment, values in expected.items()}
        best = max(rates, key=lambda segment: rates[segment])
        for segment, rate in rates.items():
            found = compared(name, of, segment)
            one = of[kind][segment]
            reach = {"favourable_balance": one.score_if.reach, "unfavourable_balance": one.score_unless.reach}.get(name)
            assert found.rate is not None
            assert abs(found.rate.value - rate) <= (EXACT if reach is None else reach + EXACT)
            assert found.reference == best
            if reach is None:
                assert found.ratio.value == pytest.approx(rate / rates[best], abs=EXACT)


@pytest.mark.parametrize("favourable", ["", "yes", "no"])
def test_rates_and_ratios_of_a_binary_target_are_those_of_the_rows(favourable: str) -> None:
    sex, scores, truth = people()
    of, declared = package(HIRED), Fairness(("sex",), favourable)
    labels = np.where(truth, "yes", "no").tolist()
    found = tallies(folded(sex, [said(score) for score in scores.tolist()], labels, of), of, declared)
    good = favourable != "no"
    expected = {
        f"sex={one}": by_hand(
            truth[sex == one] == good, (scores[sex == one] >= 0.5) == good, np.abs(scores[sex == one] - (not good))
        )
        for one in SEXES
    }
    check(found, expected)


def test_at_a_score_edge_another_decision_threshold_is_exact() -> None:
    sex, scores, truth = people()
    edge = float(np.nextafter(SCORE_EDGES[135], 1))
    of, declared = package(HIRED), Fairness(("sex",), decision_threshold=edge)
    labels = np.where(truth, "yes", "no").tolist()
    found = tallies(folded(sex, [said(score) for score in scores.tolist()], labels, of), of, declared)
    expected = {
        f"sex={one}": by_hand(truth[sex == one], scores[sex == one] >= edge, scores[sex == one]) for one in SEXES
    }
    check(found, expected)
    assert 0.55 < edge < 0.65


def test_of_more_classes_the_favourable_one_stands_against_all_others() -> None:
    sex, scores, _ = people()
    rng = np.random.default_rng(1)
    truth = rng.choice(3, ROWS)
    chances = np.stack([scores * 0.6, 0.3 - 0.2 * scores, 0.7 - 0.4 * scores], axis=1)
    of, declared = package(RISK), Fairness(("sex",), "high")
    answers = [said(probabilities=row) for row in chances.tolist()]
    found = tallies(folded(sex, answers, [RISK.classes[code] for code in truth], of), of, declared)
    expected = {
        f"sex={one}": by_hand(
            (truth == 2)[sex == one], (chances.argmax(axis=1) == 2)[sex == one], chances[sex == one, 2]
        )
        for one in SEXES
    }
    check(found, expected)


def test_means_read_from_bins_are_off_by_no_more_than_they_say() -> None:
    sex, scores, truth = people()
    of = package(HIRED)
    labels = np.where(truth, "yes", "no").tolist()
    found = tallies(folded(sex, [said(score) for score in scores.tolist()], labels, of), of, Fairness(("sex",)))
    for one in SEXES:
        score = found[Kind.ACCURACY][f"sex={one}"].score_if
        exact = scores[(sex == one) & truth].mean()
        assert 0 < abs(score.value - exact) <= score.reach < 0.01
        assert score.sd == pytest.approx(scores[(sex == one) & truth].std(), abs=0.005)


@given(st.data())
@settings(deadline=None, max_examples=20)
def test_any_cut_into_deltas_and_any_correction_gives_the_tallies_of_the_final_truth(data: st.DataObject) -> None:
    of, declared = package(HIRED), Fairness(("sex",))
    rows = data.draw(
        st.lists(st.tuples(st.sampled_from(SEXES), st.floats(0, 1), st.booleans(), st.booleans()), max_size=30)
    )
    clean, revised = [], []
    for sex, score, first, last in rows:
        answer = [said(score, segments=[f"sex={sex}"])]
        name = {True: "yes", False: "no"}
        clean.append({"kind": "matched", "label": name[last], "predictions": answer})
        revised.append({"kind": "matched", "label": name[first], "predictions": answer})
        revised.append({"kind": "corrected", "label": name[last], "previous_label": name[first], "predictions": answer})
    total: dict[SummaryKey, Summary] = {}
    for row in data.draw(st.permutations(revised)):
        for key, delta in fold_outcomes(outcomes([row]), {"m": of}, Span.DAY).items():
            total.setdefault(key, Summary()).add(delta)
    at_once = fold_outcomes(outcomes(clean), {"m": of}, Span.DAY) if clean else {}
    kept = {key: summary for key, summary in total.items() if not summary.is_empty()}
    assert tallies(kept, of, declared) == tallies(at_once, of, declared)


@pytest.mark.parametrize(("n", "share", "other"), [(150, 0.3, 0.45), (1_000, 0.05, 0.06), (400, 0.9, 0.95)])
def test_an_interval_holds_the_true_ratio_in_about_95_of_100_windows(n: int, share: float, other: float) -> None:
    rng = np.random.default_rng(n)
    draws, held = 2_000, 0
    for hits, reference in zip(
        rng.binomial(n, share, draws).tolist(), rng.binomial(n, other, draws).tolist(), strict=True
    ):
        one, two = proportion(hits, n), proportion(reference, n)
        assert one is not None
        assert two is not None
        _, low, high = ratio(one, two)
        held += low <= share / other <= high
    assert 0.935 <= held / draws <= 0.975


def test_intervals_of_ratios_of_numbers_and_of_mean_scores_hold_the_truth_as_often() -> None:
    rng = np.random.default_rng(0)
    draws, held = 2_000, np.zeros(2)
    for numbers in rng.multinomial(2_000, [0.1, 0.15, 0.75], draws).tolist():
        scores = rng.beta(1, 3, 80), rng.beta(1, 1, 80)
        means = [mean_score(MeanScore(80, float(each.mean()), float(each.std()), 0.0)) for each in scores]
        for place, (one, two) in enumerate((map(amount, numbers[:2], (500, 500)), means)):
            assert one is not None
            assert two is not None
            _, low, high = ratio(one, two)
            held[place] += low <= (2 / 3, 0.5)[place] <= high
    assert ((held / draws >= 0.93) & (held / draws <= 0.975)).all()


def test_a_group_that_gets_nothing_has_a_ratio_of_0_and_an_upper_limit() -> None:
    nothing, some = proportion(0, 500), proportion(200, 500)
    assert nothing is not None
    assert some is not None
    value, low, high = ratio(nothing, some)
    assert (value, low) == (0.0, 0.0)
    assert 0 < high < 0.05
    assert fair_status(Value(value, low, high, 500), 0.8).status is Status.FAILING


def counted(rows: int, favoured: int) -> Tally:
    return Tally(rows, favoured)


def proportional(tallies_: dict[str, Tally], segment: str, reference: str = "") -> Parity:
    return parity(Groups(segment, tallies_, reference), QUANTITIES["proportional_parity"][1])


def test_the_most_favoured_of_the_groups_with_enough_rows_and_a_name_is_the_reference() -> None:
    groups = {
        "sex=f": counted(1_000, 300),
        "sex=m": counted(1_000, 450),
        "sex=x": counted(99, 99),
        "sex=other": counted(1_000, 900),
        "sex=missing": counted(1_000, 950),
    }
    found = proportional(groups, "sex=f")
    assert (found.reference, round(found.ratio.value or 0, 3)) == ("sex=m", 0.667)
    assert proportional(groups, "sex=m").ratio == Value(1.0, n=1_000)
    assert proportional(groups, "sex=x").ratio == Value(None, n=99, reason=Reason.TOO_FEW_ROWS)
    assert proportional(groups, "sex=other").ratio.value == pytest.approx(2.0)


def test_a_declared_reference_may_get_less_and_above_its_inverse_is_unfair_too() -> None:
    groups = {"sex=f": counted(2_000, 600), "sex=m": counted(2_000, 900)}
    found = proportional(groups, "sex=m", "sex=f")
    assert found.ratio.value == pytest.approx(1.5)
    assert fair_status(found.ratio, 0.8).status is Status.FAILING
    assert proportional(groups, "sex=m", "sex=gone").ratio.reason is Reason.TOO_FEW_ROWS


def test_a_reference_that_gets_nothing_measures_nobody() -> None:
    groups = {"sex=f": counted(500, 0), "sex=m": counted(500, 0)}
    assert proportional(groups, "sex=m").ratio.reason is Reason.ZERO_DENOMINATOR
    assert proportional({}, "sex=f").ratio == Value(None, reason=Reason.EMPTY)


@pytest.mark.parametrize(
    ("value", "low", "high", "status", "borderline"),
    [
        (0.95, 0.9, 1.0, Status.PASSING, False),
        (0.82, 0.79, 0.85, Status.PASSING, True),
        (0.78, 0.75, 0.81, Status.AT_RISK, True),
        (0.7, 0.65, 0.75, Status.FAILING, False),
        (1.2, 1.15, 1.3, Status.PASSING, True),
        (1.4, 1.3, 1.5, Status.FAILING, False),
        (0.7, 0.4, 1.1, Status.UNKNOWN, False),
        (0.1, 0.02, 0.4, Status.FAILING, False),
    ],
)
def test_a_status_says_unfair_only_where_the_interval_is_sure(
    value: float, low: float, high: float, status: Status, *, borderline: bool
) -> None:
    found = fair_status(Value(value, low, high, 1_000), 0.8)
    assert (found.status, found.borderline) == (status, borderline)


some = st.sampled_from([0, 1, 29, 30, 100, 10**9])


@given(
    st.dictionaries(
        st.sampled_from(["sex=f", "sex=m", "sex=other", "sex=missing"]),
        st.builds(
            lambda hits, misses, false_alarms, rejections, score, pending: Tally(
                hits + misses + false_alarms + rejections,
                hits + false_alarms,
                hits,
                misses,
                false_alarms,
                rejections,
                score,
                score,
                pending,
            ),
            some,
            some,
            some,
            some,
            st.builds(
                MeanScore,
                st.sampled_from([0, 30, 10**6]),
                st.floats(6e-5, 1 - 6e-5),
                st.floats(0, 0.5),
                st.floats(0, 0.01),
            ),
            st.integers(0, 3),
        ),
    ),
    st.sampled_from(["", "sex=m", "sex=gone"]),
    st.booleans(),
)
def test_whatever_was_counted_there_is_a_value_or_a_reason(
    groups: dict[str, Tally],
    reference: str,
    resolved: bool,  # noqa: FBT001 - drawn
) -> None:
    for name in QUANTITIES:
        for segment in ["sex=f", "sex=m", "sex=other"]:
            among = METRICS[name].among
            assert among is not None
            found = among(Groups(segment, groups, reference, groups, resolved))
            assert (found.value is None) == (found.reason is not None)
            assert all(one is None or isfinite(one) for one in (found.value, found.low, found.high, found.baseline))
            assert found.low is None or found.high is None or found.low <= (found.value or 0) <= found.high
            judged = METRICS[name].judge
            assert judged is not None
            assert judged(found, "", Settings(), True) is not None  # noqa: FBT003 - as every judge


def test_outcomes_that_are_not_in_leave_no_value() -> None:
    groups = {"sex=f": Tally(500, 200, 150, 100, 50, 200), "sex=m": Tally(500, 250, 200, 50, 50, 200)}
    one = Groups("sex=f", groups, resolved=False)
    for name, (kind, _) in QUANTITIES.items():
        among = METRICS[name].among
        assert among is not None
        if kind is Kind.ACCURACY and "balance" not in name:
            assert among(one).reason is Reason.NOT_RESOLVED
            assert among(replace(one, resolved=True)).value is not None
        elif kind is Kind.PREDICTIONS:
            assert among(one).value is not None


def test_holdout_gives_each_ratio_its_baseline_at_any_threshold() -> None:
    sex, scores, truth = people()
    labels = np.where(truth, "yes", "no")
    known = package(HIRED, build_baseline((), HIRED, pl.DataFrame(), labels, scores), "")
    segments = [[f"sex={one}"] for one in sex]
    groups = holdout_groups(holdout_outcomes(HIRED, labels, scores, segments), known)
    of = package(HIRED, build_baseline((), HIRED, pl.DataFrame(), labels, scores))
    kept = msgspec.structs.replace(of, baseline=msgspec.structs.replace(of.baseline, groups=groups))
    for declared in (Fairness(("sex",)), Fairness(("sex",), "no", 0.7)):
        found = holdout_tallies(kept, "sex", declared)
        live = tallies(folded(sex, [said(score) for score in scores.tolist()], labels.tolist(), of), of, declared)
        assert found == live[Kind.ACCURACY]
        value = parity(Groups("sex=f", live[Kind.PREDICTIONS], holdout=found), QUANTITIES["proportional_parity"][1])
        assert value.ratio.value == pytest.approx(value.ratio.baseline)
    assert holdout_tallies(kept, "age", Fairness(("age",))) is None
    assert sum(map(len, groups.values())) < 6_000
