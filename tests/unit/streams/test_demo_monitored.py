"""What monitoring finds in the real bookings: every live request of the demo through fold and evaluator, in process."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from infra.demo.bookings import live
from infra.demo.findings import Noticed, noticed
from infra.demo.questions import CANCELLATION
from infra.demo.report import AlertStory, day, stories
from infra.demo.train import train
from monitors.evaluator import Evaluator
from monitors.folds import fold_features
from monitors.metrics import METRICS
from monitors.metrics.drift import FEATURE
from monitors.shares import shares_of
from monitors.summary import Summary as Counts
from monitors.table import MemoryTable
from monitors.tolerance import STEADIEST
from schemas.deployment import DAY_MS, MATERIAL_DRIFT, Deployment, Model
from schemas.observation import AlertEvent, Entry, Metric, Progress, Status, Summary
from schemas.package import Package
from schemas.topics import Topic
from scorers.package import read_package
from streams.cli._demo_setup import archive_of, settings_for

WEEKS = 91
STABLE = {
    "babies": 0.01,
    "by_agent": 0.02,
    "by_company": 0.02,
    "children": 0.07,
    "distribution_channel": 0.05,
    "hotel": 0.03,
    "previous_stays": 0.04,
    "repeated_guest": 0.01,
}
"""Features and what their median week drifts by at most, PSI; below 0.1 is passing."""

DRIFTING = {"market_segment": 0.7, "adr": 0.8, "arrival_week": 3.0, "lead_time": 0.8}
"""Features and what their median week drifts by at least; above 0.25 is failing."""


@dataclass
class Watched:
    package: Package
    psi: dict[str, list[Metric]] = field(default_factory=dict)
    alerts: list[AlertEvent] = field(default_factory=list)
    inputs: dict[str, Counts] = field(default_factory=dict)

    def deployment(self, name: str) -> Deployment:
        settings = replace(settings_for(CANCELLATION), segments=(), row_sample=False)
        champion = Model(self.package.digest, self.package.name, self.package.version)
        return Deployment(name, 1, CANCELLATION.target, CANCELLATION.features, champion, settings=settings)

    def known(self, digest: str) -> Package | None:
        return self.package if digest == self.package.digest else None

    def share(self, feature: str, year: str, *labels: str) -> tuple[float, float]:
        """Of these bins together, in training and in a year."""
        shares = shares_of(self.package.baseline.features[feature], self.inputs[year], FEATURE.format(feature))
        assert shares is not None
        bars = [(was, now) for label, was, now in zip(*shares, strict=True) if label in labels]
        assert len(bars) == len(labels)
        return sum(was for was, _ in bars), sum(now for _, now in bars)

    @property
    def without_times(self) -> Package:
        """The package as it is built where nobody says when the training rows were."""
        steadiest = dict.fromkeys(self.package.baseline.features, STEADIEST)
        return replace(self.package, baseline=replace(self.package.baseline, tolerance=steadiest))

    @property
    def noticed(self) -> dict[str, Noticed]:
        return {one.feature: one for one in noticed(self.alerts)}

    @property
    def told(self) -> tuple[AlertStory, ...]:
        return stories(self.alerts)


@dataclass(frozen=True)
class View:
    watched: Watched

    def deployment(self, name: str) -> Deployment | None:
        return self.watched.deployment(name)

    def package(self, digest: str) -> Package | None:
        return self.watched.known(digest)


@pytest.fixture(scope="module")
def watched() -> Watched:
    return monitored(read_package(archive_of(train(CANCELLATION)[0])))


@pytest.fixture(scope="module")
def without_times(watched: Watched) -> Watched:
    """As if the time of the training rows was not known."""
    return monitored(watched.without_times)


def monitored(package: Package) -> Watched:
    found = Watched(package)
    deployment = found.deployment(CANCELLATION.deployment)
    evaluator = Evaluator(MemoryTable(), [METRICS["psi"]])
    weeks = live().with_columns(week=(pl.col("made_ms") // DAY_MS + 3) // 7)
    for number, rows in enumerate(weeks.partition_by("week")):
        times = rows["made_ms"].to_numpy()
        frame = rows.select(feature.name for feature in CANCELLATION.features)
        deltas = fold_features(frame, times, None, found.package, deployment.settings.bucket)
        for (_, _, _, start_ms), counts in deltas.items():
            found.inputs.setdefault(day(start_ms)[:4], Counts()).add(counts)
        entries = tuple(Entry(*key, counts.encode()) for key, counts in deltas.items())
        clock = Progress(Topic.REQUESTS, 0, 0, True, number * 10_000, {deployment.name: int(np.max(times))})  # noqa: FBT003  # a record's fields in order
        for record in (Summary(deployment.name, entries), clock):
            effects = evaluator.step(record, View(found))
            found.alerts += effects.alerts
            for metric in effects.metrics:
                if metric.closed:
                    found.psi.setdefault(metric.feature, []).append(metric)
    return found


def test_the_growth_of_online_travel_agents_is_found(watched: Watched) -> None:
    training, in_2016 = watched.share("market_segment", "2016", "Online TA")
    _, in_2017 = watched.share("market_segment", "2017", "Online TA")
    assert [round(share, 2) for share in (training, in_2016, in_2017)] == [0.28, 0.55, 0.6]
    drifted = watched.noticed["market_segment"].drifted_ms
    assert drifted is not None
    assert day(drifted) == "2016-01-04"


def test_the_growth_of_prices_is_found(watched: Watched) -> None:
    """The two dearest tenths of training, above 114 euros a night."""
    labels = ("114 to 140", "140 to 508")
    training, in_2016 = watched.share("adr", "2016", *labels)
    _, in_2017 = watched.share("adr", "2017", *labels)
    assert [round(share, 2) for share in (training, in_2016, in_2017)] == [0.19, 0.33, 0.53]
    drifted = watched.noticed["adr"].drifted_ms
    assert drifted is not None
    assert day(drifted) == "2015-12-14"


@pytest.mark.parametrize("feature", DRIFTING)
def test_what_drifts_fails_in_nearly_every_week(watched: Watched, feature: str) -> None:
    values = [metric.value for metric in watched.psi[feature] if metric.value is not None]
    assert len(values) == WEEKS
    assert median(values) > DRIFTING[feature]
    assert sum(metric.status is Status.FAILING for metric in watched.psi[feature]) > 0.85 * WEEKS


def test_stable_features_fire_nothing_at_all_and_a_typical_week_is_far_below_what_is_at_risk(watched: Watched) -> None:
    rang = {one.feature for one in watched.told}
    assert {feature.name for feature in CANCELLATION.features} - rang == set(STABLE)
    typical = {name: median(metric.value or 0.0 for metric in watched.psi[name]) for name in STABLE}
    assert {name: value for name, value in typical.items() if value > STABLE[name]} == {}


def test_every_feature_wandered_too_much_in_training_for_the_change_detector(watched: Watched) -> None:
    """Bookings come in groups, and five months are no year: k_w is far below 300 of any, so material drift is left."""
    assert set(watched.package.baseline.unstable) == {feature.name for feature in CANCELLATION.features}
    assert {rule for one in watched.told for change in one.changes if (rule := change.rule)} == {MATERIAL_DRIFT.name}


def test_without_the_time_of_its_training_rows_the_change_detector_rings_for_every_feature(
    without_times: Watched,
) -> None:
    assert without_times.package.baseline.unstable == ()
    changed = {one.feature for one in without_times.noticed.values() if one.changed_ms is not None}
    assert changed == {feature.name for feature in CANCELLATION.features}


def test_the_change_detector_is_never_later_than_material_drift(without_times: Watched) -> None:
    both = [one for one in without_times.noticed.values() if one.changed_ms is not None and one.drifted_ms is not None]
    assert {"market_segment", "adr"} <= {one.feature for one in both}
    assert all(one.changed_ms <= one.drifted_ms for one in both if one.changed_ms and one.drifted_ms)


def test_an_alert_of_a_small_change_that_passes_is_over_and_one_that_grows_becomes_graver(
    without_times: Watched,
) -> None:
    lives = [[change.phase for change in one.changes] for one in without_times.told if one.feature == "babies"]
    assert lives == [["firing", "resolved"]] * 3
    (market,) = (one for one in without_times.told if one.feature == "market_segment")
    assert [(change.rule, change.severity) for change in market.changes] == [
        ("change-detected", "info"),
        (MATERIAL_DRIFT.name, "critical"),
    ]
