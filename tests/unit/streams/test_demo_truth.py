"""What the demo says of late outcomes: a day of its real bookings, and what is said of challengers."""

from __future__ import annotations

import io

import pytest
from msgspec.structs import replace
from rich.console import Console, RenderableType

from infra.demo import show_truth
from infra.demo.questions import CANCELLATION
from infra.demo.report import Watched
from infra.demo.truth import Diagnosed, Judged, judged
from schemas.deployment import Deployment, Model
from schemas.observation import Decision, Finding, Verdict
from streams.cli._demo_truth import LOOK_BACK, plain
from tests.unit.monitors.test_as_of import at_the_end_of_february

NEW, OLD, WEAK = (Model(letter * 64, name, "1") for letter, name in (("a", "new"), ("b", "old"), ("c", "weak")))
NAMES = {model.digest: model.name for model in (NEW, OLD, WEAK)}
DEPLOYMENT = Deployment(
    CANCELLATION.deployment, 2, CANCELLATION.target, CANCELLATION.features, NEW, challengers=(OLD, WEAK)
)


def shown(part: RenderableType) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(part)
    return out.getvalue()


def verdict(champion: Model, challenger: Model, window: int = 0, **more: object) -> Verdict:
    fields: dict[str, object] = {"loss": "brier", "finding": Finding.UNDECIDED, "n": 0, **more}
    return Verdict(DEPLOYMENT.name, champion.digest, challenger.digest, window, window + 1, 86_400_000, **fields)  # type: ignore[arg-type]  # fields as each case has them


def watched(*verdicts: Judged, diagnoses: tuple[Diagnosed, ...] = ()) -> Watched:
    return Watched(
        name=DEPLOYMENT.name,
        revision=1,
        status="passing",
        champion="new",
        challengers=("old",),
        rows=0,
        data_errors=0,
        system_errors=0,
        loss="log_loss",
        holdout={},
        months=(),
        drift=(),
        open_alerts=0,
        verdicts=verdicts,
        diagnoses=diagnoses,
    )


def test_at_the_end_of_february_the_demo_knows_what_the_hasty_did() -> None:
    found = plain(at_the_end_of_february(), "log_loss")
    assert (found.day, found.expected, found.coverage_now) == ("2016-02-29", 18_706, 1.0)
    assert LOOK_BACK.isoformat() == found.day
    rate, loss = found.metrics
    told = (found.coverage, rate.then, rate.pending, rate.now)
    assert told == pytest.approx((0.449, 0.479, 0.255, 0.356), abs=5e-4)
    assert (rate.metric, loss.metric, rate.warning) == ("positive_rate", "log_loss", "delay_bias")
    said = shown(show_truth.hindsight("booking-cancellation", found))
    for words in ("18,706 bookings", "44.9% had an outcome then, 100.0% have one now", "0.479", "0.255", "0.356"):
        assert words in said


def test_without_a_cohort_that_is_old_enough_the_table_says_so() -> None:
    found = replace(plain(at_the_end_of_february(), "log_loss"), resolved_share=None)
    assert "not resolved" in shown(show_truth.hindsight("x", found))


def test_the_last_word_on_each_challenger_counts_and_the_champion_that_serves_comes_first() -> None:
    said = [
        verdict(OLD, NEW, finding=Finding.BETTER, n=900, decision=Decision(Finding.BETTER, 0, 800, 0.1, 0.05)),
        verdict(NEW, OLD, n=10),
        verdict(NEW, OLD, 1, finding=Finding.WORSE, n=500, mean=-0.1, radius=0.05, retracted=True),
    ]
    found = judged(DEPLOYMENT, NAMES, said)
    assert [(one.champion, one.challenger, one.serves, one.finding) for one in found] == [
        ("new", "old", True, "worse"),
        ("new", "weak", True, "undecided"),
        ("old", "new", False, "better"),
    ]
    assert [one.decided_n for one in found] == [None, None, 800]


def test_a_challenger_without_resolved_rows_is_undecided_and_the_table_says_why() -> None:
    said = shown(show_truth.verdicts([watched(*judged(DEPLOYMENT, NAMES, []))]))
    assert said.count("undecided, no rows yet") == 2
    decided = Judged("weak", "old", serves=False, finding="worse", mean=-0.0123, radius=0.004, n=900, decided_n=600)
    said = shown(show_truth.verdicts([watched(decided)]))
    for words in ("worse after 600 rows", "-0.0123 ± 0.004", "old, before"):
        assert words in said


def test_what_a_verdict_rests_on_is_said_in_whole_sentences() -> None:
    said = " ".join(shown(show_truth.verdicts([watched()])).split())
    assert "A verdict is of resolved rows, so old that their outcomes are in: it holds however often one looks." in said
    assert "What was known when it was told, at a window's end, is no verdict." in said


def test_the_newest_months_are_shown_with_their_evidence_and_all_are_counted() -> None:
    months = [f"2016-{month:02}" for month in range(1, 9)]
    causes = ["concept_drift"] * 5 + ["not_resolved"] * 3
    said = shown(
        show_truth.diagnoses(
            watched(
                diagnoses=tuple(
                    Diagnosed(month, "new", cause, ("label_shift",), 1_234, 0.5, "", f"why {month}")
                    for month, cause in zip(months, causes, strict=True)
                )
            )
        )
    )
    assert "why 2016-08" in said
    assert "why 2016-02" not in said
    assert "all months: concept drift 5, not resolved 3" in said
    assert "no month is closed yet" in shown(show_truth.diagnoses(watched()))
