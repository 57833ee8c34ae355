"""The demo's summary is true: months, verdicts, causes and fairness of real bookings against numpy and scikit-learn.

`demo_scene` is the demo's deployment of cancellations in process; what is looked at is what the summary is made of.
"""

from __future__ import annotations

import io
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray
from rich.console import Console, RenderableType
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss, log_loss

from infra.demo import show, show_fair, show_truth
from infra.demo.report import Month, Watched, first_closings, stories, watched
from infra.demo.show_data import number
from infra.demo.truth import Judged, judged
from infra.fair import DESERVED, GIVEN, RIGHT, Fair, sentence
from monitors.fairness import fairness
from streams.cli._demo_truth import diagnosed
from streams.cli._fairness import plain
from tests.unit.streams.demo_scene import COUNT, SETTINGS, replayed, scored, trained, weeks

CHAMPION, LINEAR, WEAK = (f"booking-cancellation-{name}" for name in ("boosted", "linear", "two-features"))
MONTHS = ("2015-12", "2016-01", "2016-02")


@pytest.fixture(scope="module")
def found() -> Watched:
    """The summary of the deployment, as the demo makes it."""
    of = replayed()
    seen = watched(
        of.deployment, of.packages, list(of.metrics.values()), stories(of.alerts), first_closings(of.history)
    )
    shared = [
        one
        for digest, package in of.packages.items()
        for one in fairness(of.buckets(), digest, deployment=of.deployment, package=package, as_of_ms=of.until_ms)
    ]
    causes = sorted(of.diagnoses.values(), key=lambda one: one.window_start_ms)
    return replace(
        seen,
        verdicts=judged(of.deployment, of.names, of.verdicts),
        diagnoses=tuple(diagnosed(one, of.names) for one in causes),
        fairness=plain(shared, of.deployment, of.names),
    )


def rows() -> pl.DataFrame:
    """Bookings with the probability of a cancellation by each model's name, and the month and truth."""
    _, packages, scored_rows = scored()
    return scored_rows.rename({digest: one.name for digest, one in packages.items()}).with_columns(
        month=pl.col("made").dt.strftime("%Y-%m"), gone=pl.col("is_canceled") == "true"
    )


def of_month(month: str) -> pl.DataFrame:
    return rows().filter(pl.col("month") == month)


def loss(part: pl.DataFrame, model: str) -> float:
    """Cut where ours is cut: scikit-learn cuts at the number type's own precision."""
    chances = np.clip(part[model].to_numpy(), 1e-15, 1 - 1e-15)
    return float(log_loss(part["gone"].to_numpy(), chances, labels=[False, True]))


def month(found: Watched, name: str) -> Month:
    return next(one for one in found.months if one.month == name)


def shown(part: RenderableType) -> str:
    out = io.StringIO()
    Console(file=out, width=240).print(part)
    return out.getvalue()


def test_the_final_loss_of_each_model_and_month_is_what_scikit_learn_says(found: Watched) -> None:
    assert [one.month for one in found.months] == list(MONTHS)
    for one in found.months:
        part = of_month(one.month)
        assert (one.state, one.coverage) == ("final", 1.0)
        assert {score.n for score in one.scores} == {part.height}
        assert {score.model: score.value for score in one.scores} == pytest.approx(
            {name: loss(part, name) for name in (CHAMPION, LINEAR, WEAK)}, rel=1e-6
        )


@pytest.mark.parametrize("name", MONTHS)
def test_what_was_said_at_the_close_of_a_month_is_of_the_outcomes_that_were_known_then(
    found: Watched, name: str
) -> None:
    """A month is closed at the end of the replayed weeks that passes its end and grace."""
    one, part = month(found, name), of_month(name)
    ends_ms = int(datetime(2016, int(name[5:]) % 12 + 1, 1, tzinfo=UTC).timestamp() * 1000)
    closed_ms = next(until_ms for _, _, until_ms in weeks(rows()) if until_ms >= ends_ms + SETTINGS.grace_ms)
    known = part.filter(pl.col("outcome_ms") < closed_ms)
    assert one.first_coverage == pytest.approx(known.height / part.height)
    assert one.first_value == pytest.approx(loss(known, CHAMPION), rel=1e-6)


def test_the_estimate_is_what_scikit_learn_s_calibration_expects_of_the_scores_and_misses_what_came(
    found: Watched,
) -> None:
    """Isotonic on holdout, then the loss that each row is expected to have; ours is of 256 bins of the score."""
    model = trained()[0]
    came = (model.holdout[model.question.target.name] == "true").to_numpy()
    chance = IsotonicRegression(out_of_bounds="clip").fit(model.predicted[:, 1], came)
    for one in found.months:
        said = np.clip(of_month(one.month)[CHAMPION].to_numpy(), 1e-15, 1 - 1e-15)
        positive = chance.predict(said)
        expected = -(positive * np.log(said) + (1 - positive) * np.log1p(-said)).mean()
        assert one.estimate == pytest.approx(expected, abs=0.003)
        (truth,) = (score.value for score in one.scores if score.model == CHAMPION)
        assert (truth or 0.0) - expected > 0.25, "the world has drifted, which no estimate can know"


def direct(one: Judged, part: pl.DataFrame) -> NDArray[np.float64]:
    """What the challenger saves of each row, squared error by squared error."""
    gone = part["gone"].to_numpy().astype(float)
    champion, challenger = (part[name].to_numpy() for name in (one.champion, one.challenger))
    return np.asarray((champion - gone) ** 2 - (challenger - gone) ** 2)


@pytest.mark.parametrize("challenger", [LINEAR, WEAK])
def test_a_verdict_s_difference_is_that_of_the_same_rows_and_its_interval_holds_it(
    found: Watched, challenger: str
) -> None:
    (one,) = (each for each in found.verdicts if each.challenger == challenger)
    assert one.until_ms is not None
    assert one.mean is not None
    assert one.radius is not None
    resolved = rows().filter(pl.col("made_ms") < one.until_ms)
    assert one.n == pytest.approx(resolved.height, rel=1e-3)  # a bucket's last rows may be given up on
    saved = direct(one, resolved)
    assert one.mean == pytest.approx(saved.mean(), abs=2e-4)
    assert abs(one.mean - saved.mean()) < one.radius < 10 * saved.std() / np.sqrt(resolved.height)
    assert one.known_mean == pytest.approx(one.mean)
    assert one.known_n == one.n


def test_the_weak_model_is_better_and_an_early_verdict_that_all_rows_contradict_says_so(found: Watched) -> None:
    said = {one.challenger: one for one in found.verdicts}
    every = {name: direct(said[name], rows()).mean() for name in (LINEAR, WEAK)}
    assert every[WEAK] > 0 > every[LINEAR]
    assert (said[WEAK].finding, said[WEAK].overtaken) == ("better", False)
    assert (said[LINEAR].finding, said[LINEAR].overtaken) == ("better", True)
    early = rows().sort("made_ms").head(said[LINEAR].decided_n or 0)
    assert direct(said[LINEAR], early).mean() > 0, "those it was decided on did speak for it"
    table = shown(show_truth.verdicts([found]))
    assert f"better after {said[LINEAR].decided_n} rows, not by now" in table
    assert f"better after {said[WEAK].decided_n} rows " in table


def test_the_cause_of_each_month_stands_beside_evidence_that_is_true(found: Watched) -> None:
    assert [one.month for one in found.diagnoses] == list(MONTHS)
    for one in found.diagnoses:
        part = of_month(one.month)
        assert (one.model, one.cause, one.rows) == (CHAMPION, "data_and_concept_drift", part.height)
        assert 0.995 < (one.coverage or 0) <= 1, "told anew where something has changed that matters"
        brier = brier_score_loss(part["gone"].to_numpy(), part[CHAMPION].to_numpy())
        assert f"brier {brier:.3g} (" in one.evidence
    assert "data and concept drift" in shown(show_truth.diagnoses(found))


def given(part: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Of whom a share is taken, and whether each counts."""
    comes, said = ~pl.col("gone"), pl.col(CHAMPION) < 0.5
    kept = part.filter({GIVEN: pl.lit(value=True), DESERVED: comes, RIGHT: said}[metric])
    return kept.select("customer_type", counts=comes if metric == RIGHT else said)


@pytest.mark.parametrize("metric", [GIVEN, DESERVED, RIGHT])
def test_groups_get_what_their_bookings_say_they_got(found: Watched, metric: str) -> None:
    (fair,) = found.fairness
    counts = given(rows(), metric)
    shares = dict(counts.group_by("customer_type").agg(pl.col("counts").mean()).iter_rows())
    sizes = dict(counts.group_by("customer_type").len().iter_rows())
    told = [one for one in fair.of(CHAMPION, metric) if one.ratio is not None]
    assert {one.group for one in told} >= {"Transient", "Transient-Party"}
    for one in told:
        assert one.n == sizes[one.group]
        assert one.rate == pytest.approx(shares[one.group])
        assert one.ratio == pytest.approx(shares[one.group] / shares["Transient"])
    assert [one.reason for one in fair.of(CHAMPION, metric) if one.group == "Group"] == ["too_few_rows"]


def test_contract_customers_get_least_and_holdout_did_not_show_it(found: Watched) -> None:
    (fair,) = found.fairness
    (contract,) = (one for one in fair.of(CHAMPION, DESERVED) if one.group == "Contract")
    assert (contract.status, round(contract.ratio or 0, 2), round(contract.on_holdout or 0, 2)) == ("failing", 0.11, 1)
    said = sentence(fair, CHAMPION)
    assert said.startswith("Of Contract the model says is_canceled = false in 4.6% of rows, 0.14 times as often")
    assert "of those of whom it came true in 4.8%, 0.11 times (1.00 on holdout)" in said
    assert said.endswith("Of Group there are too few rows.")
    table = " ".join(shown(show_fair.fairness(found, fair)).split())
    for words in ("customer_type", "reference", "failing", "unknown: too few rows", "4.6%", said):
        assert words in table


def test_where_of_nobody_too_little_is_predicted_that_is_said_beside_what_fails_against_outcomes(
    found: Watched,
) -> None:
    (fair,) = found.fairness
    enough = tuple(one for one in fair.ratios if one.group.startswith("Transient"))
    alone = Fair(fair.feature, fair.favourable, fair.reference, fair.fair_from, enough)
    assert sentence(alone, CHAMPION) == (
        "Of no group the model surely says is_canceled = false less than 0.8 or more than 1.25 times as often as of "
        "Transient; but of those of whom it came true, it says so 0.71 times as often of Transient-Party (1.00 on "
        "holdout)."
    )


def test_the_whole_summary_is_told_with_the_months_that_were_checked(found: Watched) -> None:
    told = stories(replayed().alerts)
    said = "".join(shown(part) for part in show.everything([found], told, (), ""))
    assert found.rows == COUNT
    for one in found.months:
        assert number(one.scores[0].value) in said
    decided = [f"better after {one.decided_n} rows" for one in found.verdicts]
    for words in ("fairness by customer_type", "what may have been the matter", *decided):
        assert words in said
