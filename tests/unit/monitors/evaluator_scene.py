"""A deployment with three plain metrics, and a log of summaries and progress that is written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from monitors.deployment_book import Effects
from monitors.evaluator import Evaluator
from monitors.metrics import Metric, Value
from monitors.summary import Summary as Counts
from monitors.table import MemoryTable
from schemas.deployment import (
    HOUR_MS,
    Acknowledgement,
    AlertRule,
    Deployment,
    DriftStatistic,
    Limits,
    Model,
    Settings,
    Span,
)
from schemas.observation import Entry, Kind, Progress, Reason, Summary, SummaryRecord
from schemas.package import Baseline, Feature, Package, Target, TargetType
from schemas.topics import Topic

TARGET = Target("left", TargetType.BINARY, ("no", "yes"))
FEATURES = (Feature("age"), Feature("plan"))
SETTINGS = Settings(drift_window=Span.HOUR, accuracy_window=Span.HOUR, grace_ms=0, alert_rules=())


def share(part: int, whole: int, baseline: float | None = None) -> Value:
    """A share with its row count; `empty` of nothing."""
    return Value(part / whole, n=whole, baseline=baseline) if whole > 0 else Value(None, reason=Reason.EMPTY)


def feature_share(counts: Counts, _package: Package, feature: str) -> Value:
    """The share of a feature's second bin, in the place of the real statistic; it knows itself to 0.05."""
    vector = counts.counts.get(f"feature:{feature}", np.zeros(2, np.int64))
    second = int(vector[1]) if vector.size > 1 else 0
    value = share(second, int(vector.sum()))
    return value if value.value is None else Value(value.value, value.value - 0.05, value.value + 0.05, value.n)


def error_rate(counts: Counts, _package: Package, _feature: str) -> Value:
    """Errors of all requests."""
    errors = counts.count("error:data")
    return share(errors, errors + counts.count("rows"))


def accuracy(counts: Counts, _package: Package, _feature: str) -> Value:
    """Right answers of those matched; 0.9 on holdout."""
    return share(counts.sums.get("right", 0), counts.count("matched"), 0.9)


DEFINITIONS = (
    Metric(
        "psi",
        Kind.FEATURES,
        lambda _package: True,
        feature_share,
        per_feature=True,
        drift=DriftStatistic.PSI,
        limits=Limits(0.1, 0.25),
    ),
    Metric("data_error_rate", Kind.PREDICTIONS, lambda _package: True, error_rate),
    Metric("accuracy", Kind.ACCURACY, lambda _package: True, accuracy),
)


def model(digest: str) -> Model:
    """A model whose name does not matter."""
    return Model(digest, digest, "1")


@dataclass
class Known:
    """A view in which one deployment's revision is in effect, and every package is known but those named."""

    settings: Settings = SETTINGS
    champion: str = "m1"
    revision: int = 1
    hidden: set[str] = field(default_factory=set)
    package_baseline: Baseline = field(default_factory=Baseline)
    acknowledged: tuple[Acknowledgement, ...] = ()
    challengers: tuple[str, ...] = ()

    def deployment(self, name: str) -> Deployment | None:
        """The same deployment under every name."""
        if name in self.hidden:
            return None
        champion = model(self.champion)
        known = Deployment(name, self.revision, TARGET, FEATURES, champion, settings=self.settings)
        challengers = tuple(model(digest) for digest in self.challengers)
        return msgspec.structs.replace(known, acknowledged=self.acknowledged, challengers=challengers)

    def package(self, digest: str) -> Package | None:
        """A package of any digest."""
        if digest in self.hidden:
            return None
        return Package(digest, "1", digest, TARGET, FEATURES, "onnx", self.package_baseline)

    def change(self, *rules: AlertRule, **settings: object) -> None:
        """Put a new revision in effect."""
        self.revision += 1
        changed = {"alert_rules": rules, **settings} if rules else settings
        self.settings = msgspec.structs.replace(self.settings, **changed)


def delta(
    kind: Kind, at_ms: int, *, segment: str = "", by: str = "m1", right: int = 0, **counts: int | Sequence[int]
) -> Entry:
    """A delta; "error_data" stands for "error:data", "feature_age" for "feature:age"."""
    vectors = {
        name.replace("_", ":", 1) if name.startswith(("error", "feature")) else name: np.atleast_1d(np.array(vector))
        for name, vector in counts.items()
    }
    return Entry(kind, by, segment, at_ms // HOUR_MS * HOUR_MS, Counts(vectors, {"right": right}).encode())


def summary(*entries: Entry, deployment: str = "churn") -> Summary:
    """What an observer sends of one transaction."""
    return Summary(deployment, entries)


def progress(
    tick_ms: int,
    event_ms: int | None = None,
    *,
    topic: str = Topic.REQUESTS,
    partition: int = 0,
    caught_up: bool = True,
    deployment: str = "churn",
) -> Progress:
    """What an observer says of a source partition; `event_ms` None: nothing advanced."""
    return Progress(topic, partition, 0, caught_up, tick_ms, {} if event_ms is None else {deployment: event_ms})


class Run:
    """An evaluator over a table in memory, with everything that it said."""

    def __init__(self, view: Known | None = None) -> None:
        self.view = view or Known()
        self.table = MemoryTable()
        self.evaluator = Evaluator(self.table, DEFINITIONS)
        self.said = Effects()

    def step(self, *records: SummaryRecord) -> Effects:
        """What these records make it say."""
        now = Effects()
        for record in records:
            effects = self.evaluator.step(record, self.view)
            now.metrics += effects.metrics
            now.alerts += effects.alerts
            now.diagnoses += effects.diagnoses
        self.said.metrics += now.metrics
        self.said.alerts += now.alerts
        self.said.diagnoses += now.diagnoses
        return now

    def commit(self, *, restart: bool = False) -> None:
        """End a batch; with `restart` another worker goes on from the table."""
        self.evaluator.flush()
        if restart:
            self.evaluator = Evaluator(self.table, DEFINITIONS)


def phases(effects: Effects) -> list[str]:
    """What subscribers hear."""
    return [event.data.phase.value for event in effects.alerts]


def hours_of_ages(run: Run, old: Iterable[int], *, start_hour: int = 0, rows: int = 100) -> None:
    """One window an hour of so many rows, of which that many are old; each closes with the first row of the next."""
    for hour, count in enumerate(old, start_hour):
        counts = delta(Kind.FEATURES, hour * HOUR_MS, rows=rows, feature_age=[rows - count, count])
        run.step(summary(counts), progress((hour + 1) * 10_000, (hour + 1) * HOUR_MS))


def hours_of_errors(run: Run, errors: Iterable[int], *, start_hour: int = 0) -> None:
    """One window an hour of 100 requests with that many errors; each closes with the first request of the next."""
    for hour, count in enumerate(errors, start_hour):
        counts = delta(Kind.PREDICTIONS, hour * HOUR_MS, rows=100 - count, error_data=count)
        run.step(summary(counts), progress((hour + 1) * 10_000, (hour + 1) * HOUR_MS))
