from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from monitors.change import ALTERNATIVE, Reference, log_gamma, reference_of
from monitors.change_fold import Bucket, ChangeFold
from monitors.multiplicity import BenjaminiHochberg, Budget, Elond
from monitors.summary import Summary
from monitors.table import key_of
from schemas.deployment import CHANGE_DETECTED, DEFAULT_RULES, HOUR_MS, MATERIAL_DRIFT, AlertRule, Compare, Settings
from schemas.observation import Kind
from schemas.package import Baseline, CategoricalBins, Noise
from tests.unit.monitors.evaluator_scene import SETTINGS, Known, Run, delta, hours_of_ages, phases, progress, summary

TRAINING = Baseline(features={"age": CategoricalBins((), (14_000, 6_000, 0))})
LIKE_TRAINING, OLDER = 30, 60


def run_of(*rules: AlertRule, baseline: Baseline = TRAINING) -> Run:
    known = Known(settings=msgspec.structs.replace(SETTINGS, alert_rules=rules), package_baseline=baseline)
    return Run(known)


@given(st.lists(st.floats(1e-8, 1e9), min_size=1, max_size=20))
def test_the_log_of_gamma_is_that_of_scipy(values: list[float]) -> None:
    assert log_gamma(values) == pytest.approx(special.gammaln(values), rel=1e-12, abs=1e-12)


@given(
    st.lists(st.integers(0, 5_000), min_size=2, max_size=14).filter(any),
    st.lists(st.integers(0, 3_000), min_size=14, max_size=14),
    st.floats(300, 2_000),
)
def test_the_evidence_is_a_ratio_of_dirichlet_multinomials(
    before: list[int], rows: list[int], tolerance: float
) -> None:
    now = np.array(rows[: len(before)])
    reference = Reference(["age"], {"age": (before, tolerance)})
    found = reference.log_e(reference.stacked(Summary({"feature:age": now})))[0]
    if not now.any():
        assert math.isnan(found)
        return
    p = (np.array(before) + 0.5) / (sum(before) + len(before) / 2)
    null = 1 / (1 / tolerance + 1 / sum(before))
    likelihood = [stats.dirichlet_multinomial.logpmf(now, k * p, now.sum()) for k in (ALTERNATIVE, null)]
    assert found == pytest.approx(likelihood[0] - likelihood[1], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("rows", [10, 50, 200])
def test_without_drift_evidence_is_at_most_one_on_average(rows: int) -> None:
    reference = Reference(["age"], {"age": ((14_000, 6_000), 2_000.0)})
    counts = np.arange(rows + 1)
    pairs = [reference.log_e(np.array([rows - count, count]))[0] for count in counts]
    p = 6_000.5 / 20_001
    assert 0.9 < float(np.exp(pairs) @ stats.binom.pmf(counts, rows, p)) <= 1


def test_features_side_by_side_have_the_evidence_that_they_have_alone() -> None:
    draw = np.random.default_rng(3)
    bins = {f"f{i}": (draw.integers(1, 900, size=int(draw.integers(2, 9))).tolist(), 900.0) for i in range(5)}
    rows = {f"feature:{name}": draw.integers(0, 40, size=len(counts)) for name, (counts, _) in bins.items()}
    together = Reference(list(bins), bins)
    alone = [Reference([name], {name: bins[name]}) for name in bins]
    expected = [each.log_e(each.stacked(Summary(rows)))[0] for each in alone]
    assert together.log_e(together.stacked(Summary(rows))) == pytest.approx(expected, rel=1e-12)


def test_a_feature_that_is_too_unstable_has_no_evidence_and_an_older_package_the_default_tolerance() -> None:
    bins = CategoricalBins((), (70, 30, 0))
    counts = Summary({"feature:age": np.array([7, 3]), "feature:plan": np.array([7, 3])})
    older = reference_of(Baseline(features={"age": bins, "plan": bins}), ["age", "plan"])
    newer = reference_of(Baseline(features={"age": bins, "plan": bins}, tolerance={"age": 2_000.0}), ["age", "plan"])
    assert not np.isnan(older.log_e(older.stacked(counts))).any()
    assert np.isnan(newer.log_e(newer.stacked(counts))).tolist() == [False, True]
    assert newer.log_e(newer.stacked(counts))[0] == older.log_e(older.stacked(counts))[0]


def test_where_all_features_are_too_unstable_none_has_evidence() -> None:
    bins = CategoricalBins((), (70, 30, 0))
    baseline = Baseline(features={"age": bins}, noise={"age": Noise((100,), {})})
    found = reference_of(baseline, ["age"])
    assert np.isnan(found.log_e(found.stacked(Summary({"feature:age": np.array([7, 3])})))).all()


def test_the_levels_of_elond_never_sum_to_more_than_one() -> None:
    t = np.maximum(np.arange(1.0, 2_000_001), 2)
    shares = 0.07720838 * np.log(t) / (np.arange(1, 2_000_001) * np.exp(np.sqrt(np.log(t))))
    assert shares.sum() < 1


def test_a_statistic_that_is_cleared_begins_anew() -> None:
    decider = Budget(2, 100.0)
    decider.judge(np.array([3.0, 3.0]))
    decider.clear(np.array([True, False]))
    found, _, _ = decider.judge(np.array([1.0, 1.0]))
    assert found == pytest.approx([1.0, np.logaddexp(0, 3.0) + 1.0])


def test_what_is_not_seen_is_not_discovered() -> None:
    nothing = np.array([np.nan, np.nan])
    for decider in (Budget(2, 1.0), Elond(0.5), BenjaminiHochberg(0.5)):
        assert decider.judge(nothing)[2].tolist() == [False, False]


@st.composite
def buckets_of(draw: st.DrawFn) -> list[Bucket]:
    kinds = st.sampled_from([-2.0, -2.0, 5.0, math.nan])
    return [
        Bucket(hour, hour + 1, 100, "m1", np.array(log_e), np.array(log_e) < 0)
        for hour, log_e in enumerate(draw(st.lists(st.tuples(kinds, kinds), min_size=1, max_size=40)))
    ]


@settings(deadline=None)
@given(buckets_of(), st.lists(st.integers(0, 39), max_size=3), st.sampled_from(["budget", "elond"]))
def test_a_fold_that_was_rewound_and_pushed_again_is_the_same(
    buckets: list[Bucket], rewinds: list[int], control: str
) -> None:
    long = [at_hour(bucket, hour) for hour, bucket in enumerate(buckets * 4)]
    deciders = [Budget(2, 100.0) if control == "budget" else Elond(0.2) for _ in range(2)]
    fresh, fold = (ChangeFold(CHANGE_DETECTED, 2, decider) for decider in deciders)
    for bucket in long:
        fresh.push(bucket)
        fold.push(bucket)
    for to in rewinds:
        resume = fold.rewind(to)
        assert resume is not None
        for bucket in long[resume:]:
            fold.push(bucket)
    for place in (0, 1):
        assert fold.episodes(place) == fresh.episodes(place)


def at_hour(bucket: Bucket, hour: int) -> Bucket:
    return Bucket(hour, hour + 1, bucket.n, bucket.model, bucket.log_e, bucket.cleared)


def test_material_drift_and_the_change_detector_are_the_default_and_make_one_alert() -> None:
    assert Settings().alert_rules == DEFAULT_RULES
    run = run_of(msgspec.structs.replace(MATERIAL_DRIFT, limit=0.5, compare=Compare.ABSOLUTE), CHANGE_DETECTED)
    hours_of_ages(run, [120] * 10 + [240] * 4 + [120] * 12, rows=400)
    assert phases(run.said) == ["firing", "firing", "resolved"], "the second as it is graver"
    assert [event.data.severity.value for event in run.said.alerts] == ["info", "critical", "critical"]
    assert len({event.data.id for event in run.said.alerts}) == 1
    assert [event.data.rule for event in run.said.alerts][:2] == ["change-detected", "material-drift"]
    assert {event.data.alert for event in run.said.alerts} == {"drift"}


def test_a_change_is_found_with_its_date_and_is_over_after_six_buckets_like_training() -> None:
    run = run_of(CHANGE_DETECTED)
    hours_of_ages(run, [LIKE_TRAINING] * 10 + [OLDER] * 3 + [LIKE_TRAINING] * 12)
    fired, over = (event.data for event in run.said.alerts)
    assert (fired.phase.value, over.phase.value) == ("firing", "resolved")
    assert fired.since_ms == 10 * HOUR_MS
    assert fired.windows[0].value >= fired.limit == pytest.approx(math.log(2 * 720))
    assert "not those of training since about 1970-01-01T10:00:00.000Z" in fired.text
    assert over.changed_ms - 13 * HOUR_MS >= 6 * HOUR_MS


def test_the_same_alert_is_opened_again_within_the_cooldown_and_a_new_one_after_it() -> None:
    for quiet, alerts in ((12, 1), (40, 2)):
        run = run_of(CHANGE_DETECTED)
        hours_of_ages(run, [OLDER] * 3 + [LIKE_TRAINING] * quiet + [OLDER] * 3)
        assert phases(run.said) == ["firing", "resolved", "firing"]
        assert len({event.data.id for event in run.said.alerts}) == alerts


def test_a_correction_of_a_bucket_retracts_and_late_rows_fire_late_with_their_time() -> None:
    run = run_of(CHANGE_DETECTED)
    hours_of_ages(run, [LIKE_TRAINING] * 5 + [70] + [LIKE_TRAINING] * 2)
    assert phases(run.said) == ["firing"]
    wrong = delta(Kind.FEATURES, 5 * HOUR_MS, feature_age=[40, -40])
    taken = run.step(summary(wrong), progress(200_000))
    assert phases(taken) == ["retracted"]
    right = delta(Kind.FEATURES, 3 * HOUR_MS, feature_age=[-40, 40])
    again = run.step(summary(right), progress(300_000))
    assert phases(again) == ["firing"]
    assert again.alerts[0].data.late
    assert again.alerts[0].time == "1970-01-01T04:00:00.000Z"


def test_buckets_with_few_rows_are_carried_into_the_next() -> None:
    few, many = run_of(CHANGE_DETECTED), run_of(CHANGE_DETECTED)
    hours_of_ages(few, [8] * 20, rows=10)
    hours_of_ages(many, [16] * 10, rows=20)
    first, other = few.said.alerts[0].data.windows[0], many.said.alerts[0].data.windows[0]
    assert (first.value, first.n) == (other.value, other.n)
    assert first.window_end_ms == 2 * other.window_end_ms


def test_a_late_row_in_a_small_bucket_judges_those_that_it_was_carried_into_again() -> None:
    late, plain = run_of(CHANGE_DETECTED), run_of(CHANGE_DETECTED)
    for run, counts in ((late, [6, 2]), (plain, [2, 6])):
        run.step(summary(delta(Kind.FEATURES, 0, rows=8, feature_age=counts)))
        hours_of_ages(run, [8] * 20, rows=10, start_hour=1)
    late.step(summary(delta(Kind.FEATURES, 0, feature_age=[-4, 4])), progress(900_000))
    for run in (late, plain):
        run.commit()
    kept = [dict(run.table.scan(key_of(b"e", "churn"))) for run in (late, plain)]
    assert kept[0] == kept[1]


def test_a_rule_on_a_segment_names_it_and_reads_nothing_else() -> None:
    rule = msgspec.structs.replace(CHANGE_DETECTED, segment="plan=free")
    run = run_of(rule)
    for hour in range(6):
        entries = [
            delta(Kind.FEATURES, hour * HOUR_MS, segment=segment, rows=100, feature_age=[100 - old, old])
            for segment, old in (("", LIKE_TRAINING), ("plan=free", OLDER), ("plan=paid", 0))
        ]
        run.step(summary(*entries), progress((hour + 1) * 10_000, (hour + 1) * HOUR_MS))
    assert [event.data.segment for event in run.said.alerts] == ["plan=free"]
    assert "of age where plan=free" in run.said.alerts[0].data.text


def test_a_new_champion_is_measured_against_its_own_training() -> None:
    run = run_of(CHANGE_DETECTED)
    hours_of_ages(run, [LIKE_TRAINING] * 5)
    run.view.package_baseline = Baseline(features={"age": CategoricalBins((), (8_000, 12_000, 0))})
    run.view.champion, run.view.revision = "m2", 2
    run.step(progress(60_000, 5 * HOUR_MS + 1))
    for hour in range(5, 15):
        counts = delta(Kind.FEATURES, hour * HOUR_MS, by="m2", rows=100, feature_age=[40, 60])
        run.step(summary(counts), progress((hour + 2) * 10_000, (hour + 1) * HOUR_MS))
    assert phases(run.said) == []
