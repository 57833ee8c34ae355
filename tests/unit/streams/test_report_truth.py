"""What a report says of outcomes: of real bookings under label delay, of challengers, of causes."""

from __future__ import annotations

from monitors.periods import Range
from schemas.diagnosis import Cause, Diagnosis, Evidence, Sign
from schemas.observation import Decision, Finding, Reason, Verdict
from streams.cli._report_truth import MOST_WINDOWS, against, beside, diagnosed, late_labels
from streams.cli.challengers import left_out
from streams.cli.diagnosis import evidence
from tests.unit.monitors.test_resolved import AS_OF_MS, DEPLOYMENT, PACKAGE, evaluated

NAMES = {"a" * 64: "old 1", "b" * 64: "new 1"}
OLD, NEW = NAMES


def test_real_bookings_are_told_with_their_coverage_their_delay_and_the_bias() -> None:
    found = late_labels(evaluated()[0], DEPLOYMENT, PACKAGE, AS_OF_MS)
    assert found is not None
    assert found.sentences[0].startswith("Of 40,055 predictions of 2015-07-01 to 2016-03-01 the outcomes of 25,")
    assert "(64.0%)" in found.sentences[0]
    assert found.sentences[1].startswith("Resolved: of the 14,578 predictions")
    assert (found.delays[0][1], found.delays[0][3]) == ("46 d", "22 d")
    (rate,) = (one for one in found.metrics if one.metric == "positive rate")
    assert (rate.naive_rows, rate.resolved_rows, rate.naive.note) == (25_639, 12_403, "delay bias")
    assert late_labels(evaluated()[0], DEPLOYMENT, PACKAGE, None) is None


def test_real_bookings_are_laid_beside_what_was_predicted() -> None:
    buckets = evaluated()[0]
    over = buckets.extent()
    assert over is not None
    found = against(buckets, PACKAGE, over)
    assert found is not None
    assert sum(one.rows for one in found.told) == sum(map(sum, found.rows)) == 25_639
    rightly = sum(found.rows[place][place] for place in range(2)) / 25_639
    labels = late_labels(buckets, DEPLOYMENT, PACKAGE, AS_OF_MS)
    assert labels is not None
    assert labels.metrics
    yes = sum(found.rows[1]) / 25_639
    (rate,) = (one.naive.value for one in labels.metrics if one.metric == "positive rate")
    assert yes == rate
    assert 0.5 < rightly < 1
    assert sum(one.rows * (one.actual.value or 0) for one in found.told) == sum(found.rows[1])
    assert against(buckets, PACKAGE, Range(0, 1)) is None


def verdict(champion: str, finding: Finding, n: int, window: int = 0, decision: Decision | None = None) -> Verdict:
    mean = 0.1 if n else None
    return Verdict(
        "d", champion, NEW, window, window + 1, 86_400_000, "brier", finding, n, mean, mean and 0.05, decision=decision
    )


def test_the_last_verdict_beside_the_champion_that_serves_is_shown() -> None:
    decision = Decision(Finding.BETTER, 0, 800, 0.1, 0.05)
    said = [verdict(OLD, Finding.UNDECIDED, 0), verdict(OLD, Finding.BETTER, 900, 1, decision)]
    (found,) = beside([*said, verdict("c" * 64, Finding.WORSE, 5, 2)], NAMES, OLD)
    assert (found.challenger, found.champion, found.rows, found.until) == ("new 1", "old 1", 900, "1970-01-02")
    assert (found.saved.low, found.saved.high, found.saved.status) == (0.05, 0.15000000000000002, "better")
    assert found.saved.note == "after 800 rows"
    (early,) = beside(said[:1], NAMES, OLD)
    assert (early.saved.value, early.until, early.saved.note) == (None, "", "no rows are old enough yet")


def test_of_the_evidence_one_sign_of_each_kind_is_told_before_the_others() -> None:
    drifts = [
        Sign(Evidence.IMPORTANT_DRIFT, "psi", name, 0.9, speaks=True) for name in ("a", "b", "c", "d", "e", "f", "g")
    ]
    loss = Sign(Evidence.LOSS, "log_loss", value=0.9, reference=0.3, speaks=True)
    quiet = Sign(Evidence.QUALITY, "missing_rate", "a", 0.0)
    said = evidence(Diagnosis("d", OLD, 0, 1, Cause.DATA_DRIFT, signs=(quiet, *drifts, loss)))
    assert said == "psi of a 0.9, log loss 0.9 (0.3), psi of b 0.9, psi of c 0.9, psi of d 0.9 and 3 more"


def test_a_class_is_called_one_lest_its_name_be_read_as_a_word() -> None:
    signs = (
        Sign(Evidence.CLASSES_CHANGED, "kolmogorov_smirnov", "no", 0.397, 0.0, speaks=True),
        Sign(Evidence.PRIOR, "actuals", "no", 0.7, 0.5, speaks=True),
    )
    said = evidence(Diagnosis("d", OLD, 0, 1, Cause.LABEL_SHIFT, signs=signs))
    assert said == "kolmogorov smirnov of the score of class no 0.397, actuals of class no 0.7 (0.5)"


def test_another_model_that_served_is_told_by_the_beginning_of_its_digest() -> None:
    sign = Sign(Evidence.REPLACED, "served", of=NEW, speaks=True)
    assert evidence(Diagnosis("d", OLD, 0, 1, Cause.NONE, signs=(sign,))) == "bbbbbbbbbbbb served, too"


def test_what_stands_beside_a_cause_as_its_reason_is_not_told_twice() -> None:
    causes = (Cause.LABEL_SHIFT, Cause.NOT_RESOLVED)
    (found,) = diagnosed([Diagnosis("d", OLD, 0, 1, Cause.DATA_QUALITY, causes, reason=Reason.NOT_RESOLVED)], NAMES)
    assert (found.cause, found.also) == ("data quality (not resolved)", "label shift")
    (alone,) = diagnosed([Diagnosis("d", OLD, 0, 1, Cause.DATA_QUALITY, causes)], NAMES)
    assert alone.also == "label shift, not resolved"


def test_the_newest_diagnoses_come_first_with_what_speaks_for_them() -> None:
    sign = Sign(Evidence.IMPORTANT_DRIFT, "psi", "adr", 0.9, 0.1, speaks=True)
    said = [
        Diagnosis("d", OLD, place, place + 1, Cause.CONCEPT_DRIFT, (Cause.LABEL_SHIFT,), 9, 0.5, signs=(sign,))
        for place in range(MOST_WINDOWS)
    ]
    last = Diagnosis("d", OLD, 99, 100, Cause.NONE, reason=Reason.NOT_RESOLVED)
    found = diagnosed([*said, last], NAMES)
    assert (len(found), found[0].start_ms, found[-1].start_ms) == (MOST_WINDOWS, 99, 1)
    assert (found[0].cause, found[0].known) == ("none (not resolved)", "")
    assert (found[1].cause, found[1].also, found[1].known) == ("concept drift", "label shift", "50%")
    assert found[1].evidence == "psi of adr 0.9 (0.1)"


def test_what_a_verdict_does_not_speak_of_stands_beside_it() -> None:
    one = Verdict(
        "d", OLD, NEW, 0, 1, 1, "brier", Finding.UNDECIDED, 400, clipped=2, expected=500, expired=30, unpaired=20
    )
    assert left_out(one) == "expired 6.00%, unpaired 4.00%, clipped 0.50%"
    (told,) = beside([one], NAMES, OLD)
    assert told.saved.note == left_out(one)
    assert not left_out(Verdict("d", OLD, NEW, 0, 1, 1, "brier", Finding.UNDECIDED, 0))
