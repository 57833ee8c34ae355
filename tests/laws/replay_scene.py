"""One recorded log: requests to two revisions of a deployment, scored by the real roles, their actuals, and reports.

The deployment asks for everything that is observed where somebody asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from infra.artifacts import ArtifactStore
from schemas.actual import encode_actual
from schemas.deployment import (
    AlertRule,
    ChangeDetector,
    Compare,
    Deployment,
    DriftStatistic,
    Model,
    Settings,
    Span,
    Switch,
)
from schemas.expectations import Aggregate, CallerField, CustomMetric, Timeliness
from schemas.package import Feature, FeatureType, Package, Target, TargetType
from schemas.topics import Layout, Topic
from schemas.trigger import Sought, TriggerAction, TriggerRule
from scorers.formats.linear import CategoricalTerm, LinearModel, Link, NumericTerm
from scorers.package import read_package
from streams.batch import Send
from streams.packages import build_package
from streams.replay import Cut, FixedCatalog, FixedHistory, Log, RecordedSwitches, Recorder, batches, run
from streams.roles.scorer import Scorer
from streams.roles.shadow import Shadow
from streams.shelf import Shelf

LAYOUT = Layout("replay", partitions=3)
NOW = 1_700_000_000_000
REQUESTS = 150
EVERYTHING = 1 << 40
TARGET = Target("late", TargetType.BINARY, ("no", "yes"))
FEATURES = (Feature("hour", nullable=True), Feature("carrier", FeatureType.CATEGORICAL))
SETTINGS = Settings(
    bucket=Span.MINUTE,
    drift_window=Span.MINUTE,
    accuracy_window=Span.MINUTE,
    grace_ms=1_000,
    segments=("carrier",),
    caller_segments={CallerField.CONSUMER: ("app",)},
    row_sample=True,
    by_outcome_time=True,
    drift_statistics=(DriftStatistic.PSI, DriftStatistic.WASSERSTEIN, DriftStatistic.CHI_SQUARED),
    timeliness=Timeliness("PT1M", "PT1M", "PT10S"),
    custom_metrics=tuple(CustomMetric(aggregate.value, aggregate) for aggregate in Aggregate),
    detectors=tuple(ChangeDetector),
    resolved_after_ms=60_000,
    alert_rules=(
        AlertRule("drift", "psi", 0.05, feature="*", min_rows=5),
        AlertRule("accuracy", "log_loss", 0.3, min_rows=3),
        AlertRule("told", "accuracy_by_outcome_time", 0.9, above=False, min_rows=3),
        AlertRule("changed", "change", 5_000.0, feature="*"),
        AlertRule("spent", "custom", 10.0, feature=Aggregate.SUM.value),
        AlertRule("worse", "data_error_rate", 0.01, segment="*", compare=Compare.PREVIOUS),
    ),
    triggers=(
        TriggerRule("drifted", alert="drift", cooldown="PT2M", train_on="PT5M"),
        TriggerRule("back", TriggerAction.ROLLBACK, alert="accuracy"),
        TriggerRule("labelled", new_labels=20),
        TriggerRule("often", TriggerAction.PAUSE, every="PT2M"),
        *(TriggerRule(sought, verdict=sought) for sought in Sought),
    ),
)


@dataclass(frozen=True)
class Scene:
    """`log` holds requests, predictions, shadow predictions, actuals and reports; `deployments` both revisions."""

    log: Log
    switches: list[Switch]
    deployments: list[Deployment]
    packages: list[Package]

    def catalog(self) -> FixedCatalog:
        """The newest revision, every package."""
        return FixedCatalog(self.deployments[-1:], self.packages)

    def history(self) -> FixedHistory:
        """Both revisions."""
        return FixedHistory(self.deployments)

    def served(self) -> RecordedSwitches:
        """Which revision the scorer served a request with."""
        return RecordedSwitches("scorer", self.switches)

    def part(self, *topics: Topic) -> Log:
        """The partitions of some topics."""
        return {place: records for place, records in self.log.items() if place[0] in topics}


def everything(log: Log, *, now_ms: int = NOW) -> Cut:
    """All that is left, in one batch."""
    return Cut([(place, EVERYTHING) for place in log], now_ms=now_ms)


def record(folder: Path) -> Scene:
    """Record the log; the model is replaced half way, by a switch record on each partition."""
    store = ArtifactStore(folder)
    packages = [_package(store, slope) for slope in (1.0, 0.5, 0.1)]
    models = [Model(package.digest, package.name, package.version) for package in packages]
    first = Deployment("flights", 1, TARGET, FEATURES, models[0], tuple(models[1:]), SETTINGS)
    second = msgspec.structs.replace(first, revision=2, champion=models[1], challengers=(models[0], models[2]))
    recorder = Recorder(LAYOUT)
    recorder.take(_requests(), NOW + 600_000)
    recorder.take(_actuals(), NOW + 600_000)
    recorder.take(_reports(), NOW + 600_000)
    requests = recorder.log(Topic.REQUESTS)
    half = Cut([(place, len(records) // 2) for place, records in requests.items()])
    switches: list[Send] = []
    for kind, wanted in ((Scorer, _champion), (Shadow, _challengers)):
        catalog, shelf = FixedCatalog([first], packages), Shelf(store, wanted)
        role = kind(catalog, shelf)
        for number, batch in enumerate(batches(requests, [half])):
            catalog.adopt([(first, second)[number]])
            for deployment in (first, second)[: number + 1]:  # loaded already, so that the switch is at once
                for model in wanted(deployment):
                    assert shelf.model(model.digest)
            sends = list(run(role, [batch]))
            switches += [send for send in sends if send.topic is Topic.SWITCHES]
            recorder.take((send for send in sends if send.topic is not Topic.SWITCHES), NOW + 600_000)
    said = [msgspec.json.decode(value or b"", type=Switch) for send in switches for value in send.values]
    log = recorder.log(Topic.REQUESTS, Topic.PREDICTIONS, Topic.SHADOW_PREDICTIONS, Topic.ACTUALS, Topic.CUSTOM_METRICS)
    return Scene(log, said, [first, second], packages)


def _champion(deployment: Deployment) -> tuple[Model, ...]:
    return (deployment.champion,)


def _challengers(deployment: Deployment) -> tuple[Model, ...]:
    return deployment.challengers


def _package(store: ArtifactStore, slope: float) -> Package:
    rng = np.random.default_rng(7)
    rows = pl.DataFrame({"hour": rng.normal(size=400), "carrier": rng.choice(["AA", "DL"], 400)})
    late = rng.random(400) < 1 / (1 + np.exp(-rows["hour"].to_numpy()))
    carrier = CategoricalTerm({"AA": 0.1})
    terms: dict[str, NumericTerm | CategoricalTerm] = {"hour": NumericTerm(slope), "carrier": carrier}
    metadata = Package(f"slope-{slope}", "1", "", TARGET, FEATURES, "linear")
    artifact = LinearModel(Link.LOGIT, 0.0, terms).artifact()
    archive = build_package(metadata, artifact, rows, rows, ["yes" if truth else "no" for truth in late])
    store.put(archive)
    return read_package(archive)


def _requests() -> list[Send]:
    """One of ten IDs is asked for twice, one value is missing, one request cannot be scored, one cannot be read."""
    rng = np.random.default_rng(1)
    keys, values = [], []
    for number in range(REQUESTS):
        key = f"id-{number - 5 if number % 10 == 5 else number}"
        hour = None if number == 30 else float(rng.normal()) + number / REQUESTS
        carrier = {} if number == 40 else {"carrier": str(rng.choice(["AA", "DL", "XX"]))}
        request = {
            "deployment": "flights",
            "association_id": key,
            "timestamp": NOW + number * 2_000,
            "consumer": ("app", "web", None)[number % 3],
            "features": {"hour": hour, **carrier},
        }
        keys.append(key.encode())
        values.append(b"\xff" if number == 50 else msgspec.json.encode(request))
    return [Send(Topic.REQUESTS, keys, values)]


def _actuals() -> list[Send]:
    """Most IDs come true once; some are repeated, corrected, withdrawn, or were never asked for."""
    rng = np.random.default_rng(2)
    sends = []
    for number in range(0, REQUESTS + 5, 2):
        key = f"id-{number}"
        labels: list[str | None] = [str(rng.choice(["yes", "no"]))]
        if number % 8 == 0:
            labels += ["yes"]
        if number % 12 == 0:
            labels += [None, "no"][: 1 + number % 24 // 12]
        for at, label in enumerate(labels):
            time_ms = NOW + number * 2_000 + 30_000 + at * 5_000
            value = encode_actual("flights", key, time_ms, label=label, withdrawn=label is None)
            sends.append(Send(Topic.ACTUALS, [key.encode()], [value]))
    return sends


def _reports() -> list[Send]:
    """Of each custom metric one every ten seconds; some of no metric, of a time long ago, or of nothing at all."""
    rng = np.random.default_rng(3)
    values = [b"{", b'{"deployment": "flights"}']
    for number in range(0, REQUESTS * 2, 10):
        names = [aggregate.value for aggregate in Aggregate] + ["strange"][: number % 50 == 0]
        for name in names:
            time_ms = 1 if number == 100 else NOW + number * 1_000
            report = {"deployment": "flights", "metric": name, "value": float(rng.normal()), "timestamp": time_ms}
            values.append(msgspec.json.encode(report))
    return [Send(Topic.CUSTOM_METRICS, [b"flights"] * len(values), values)]
