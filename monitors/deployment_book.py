"""Everything that is known of one deployment, and what there is to say of it when time is told.

Rules:
- Deltas are only added up. Something is said only when a progress record is processed; its tick is the only clock.
- Old buckets, windows and evidence go first (`monitors.retention`), and what was told of them. Then windows close and
  speak (`monitors.turns`, `monitors.emission`), then what reads them: alerts, verdicts, detectors, diagnoses. Buckets
  age (`monitors.ageing`) when all that closed was judged. Triggers come last, as they read what was said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from monitors.alert_book import AlertBook
from monitors.concept_drift import ConceptDrift
from monitors.diagnosis_book import RESTS_ON, DiagnosisBook
from monitors.emission import Content, said_of
from monitors.expired import Expired, metrics_of
from monitors.fair_windows import FairWindows
from monitors.metrics import Metric as Definition
from monitors.resolved_age import ResolvedAge
from monitors.retention import buckets_before, evidence_before, windows_before
from monitors.roll_ups import is_roll_up, roll_ups
from monitors.table import TablePartition
from monitors.told_book import ToldBook
from monitors.trigger_book import TriggerBook
from monitors.trust import Trust, verdict
from monitors.turns import is_over, may_speak, with_a_turn
from monitors.verdict_book import VerdictBook
from monitors.whole import package_of
from monitors.window_book import WindowBook
from monitors.windows import Series, WindowId, window_of
from schemas.deployment import Deployment, Settings
from schemas.diagnosis import Diagnosis
from schemas.observation import AlertEvent, Detection, Entry, Kind, Metric, Verdict
from schemas.package import Package
from schemas.topics import Topic
from schemas.trigger import TriggerEvent

_EVER_MS = -(1 << 62), 1 << 62
_EXPIRED_AT_ONCE = 1_000  # of all deployments in one step; each is a tombstone of its transaction
_ARRIVE_IN = {Kind.PREDICTION_ARRIVALS: Topic.PREDICTIONS, Kind.ACTUAL_ARRIVALS: Topic.OUTCOMES}


class View(Protocol):
    """What is in effect, as the shell knows it."""

    def deployment(self, name: str) -> Deployment | None:
        """The deployment's revision in effect; None where it is not known yet."""

    def package(self, digest: str) -> Package | None:
        """A package; None where it is not known yet."""


@dataclass(slots=True)
class Effects:
    """What to produce, in this order. What is `expired` is to be deleted where it was told."""

    metrics: list[Metric] = field(default_factory=list)
    expired: list[Expired] = field(default_factory=list)
    alerts: list[AlertEvent] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    detections: list[Detection] = field(default_factory=list)
    diagnoses: list[Diagnosis] = field(default_factory=list)
    triggers: list[TriggerEvent] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Time:
    """What a progress record tells: the tick, and how far a deployment's event time has come, None before its first.

    `read_ms`: by topic until when all that came in it was read; None while some of it is not.
    """

    tick_ms: int
    watermark: int | None
    read_ms: Callable[[Topic], int | None]


class DeploymentBook:
    """One deployment, over its part of the table. `definitions`: the metrics that are told of its windows."""

    def __init__(self, table: TablePartition, name: str, definitions: tuple[Definition, ...]) -> None:
        self._name, self._definitions = name, definitions
        self._kinds = {definition.name: definition.kind for definition in definitions}
        self.windows = WindowBook(table, name)
        self._alerts = AlertBook(table, name, self._kinds)
        self._verdicts = VerdictBook(table, name)
        self._concept = ConceptDrift(table, name)
        self._diagnoses = DiagnosisBook(table, name)
        self._triggers = TriggerBook(table, name)
        self._age = ResolvedAge(table, name)
        self._trust = Trust(self.windows.windows)
        self._fair = FairWindows(self.windows)
        self._told = ToldBook(table, name)
        self._expired_at: tuple[int, int] | None = None  # watermark and revision

    def add(self, entry: Entry) -> None:
        """Take in one delta."""
        self.windows.add(entry)
        if entry.kind in {Kind.PAIRS, Kind.ACCURACY}:
            self._verdicts.add(entry)
        if entry.kind is Kind.ACCURACY:
            self._triggers.add(entry, self._alerts.adopted)

    def flush(self) -> None:
        """Write every change to the table."""
        self.windows.flush()
        self._alerts.flush()
        self._verdicts.flush()
        self._concept.flush()
        self._diagnoses.flush()
        self._triggers.flush()
        self._age.flush()
        self._told.flush()

    def evaluate(self, deployment: Deployment, view: View, time: Time, effects: Effects) -> None:
        """Add what there is to say now, by the revision in effect."""
        settings, watermark, buckets = deployment.settings, time.watermark, self.windows.buckets
        alerts, verdicts = len(effects.alerts), len(effects.verdicts)
        effects.alerts += self._alerts.adopt(deployment, watermark)
        if watermark is not None and (self.windows.is_waiting or self._expired_at != (watermark, deployment.revision)):
            self._expire(settings, watermark)
            self._expired_at = watermark, deployment.revision
        changed = self.windows.settle(settings, roll_ups(settings, self._kinds))
        self._diagnoses.mark(self.windows, settings, changed)
        read_ms = self._expected(settings, time)
        self._leave(effects.expired)
        age_ms = 0 if watermark is None else self._age.of(buckets, deployment, watermark)
        old_ms = None if watermark is None else watermark - age_ms
        self._fair.touch(changed, settings, old_ms)
        told = self._speak(deployment, view, time, read_ms, old_ms, effects.metrics)
        news = {}
        if watermark is not None:
            news = self._alerts.judge_buckets(buckets, view.package, watermark, changed)
            self._read_outcomes(deployment, view, time, changed, watermark, age_ms, effects)
        effects.alerts += self._alerts.evaluate(self.windows.windows, told, news)
        if watermark is not None:
            self.windows.age(settings.bucket, watermark)  # when all that closed now was judged
            effects.triggers += self._triggers.evaluate(
                deployment,
                watermark,
                time.tick_ms,
                window_of(watermark - age_ms, settings.bucket)[0],
                self._alerts.adopted,
                effects.alerts[alerts:],
                effects.verdicts[verdicts:],
                self._labelled,
            )

    def _read_outcomes(
        self,
        deployment: Deployment,
        view: View,
        time: Time,
        changed: Iterable[tuple[Series, int]],
        watermark: int,
        age_ms: int,
        effects: Effects,
    ) -> None:
        buckets = self.windows.buckets
        verdicts = list(self._verdicts.evaluate(buckets, deployment, view.package, watermark, age_ms))
        detections = list(self._concept.evaluate(buckets, deployment, view.package, watermark - age_ms, changed))
        effects.detections += detections
        self._diagnoses.mark_detections(self.windows, deployment.settings, detections)
        diagnoses = list(
            self._diagnoses.evaluate(
                self.windows, self._concept, deployment, view.package, watermark=watermark, tick_ms=time.tick_ms
            )
        )
        effects.verdicts += verdicts
        effects.diagnoses += diagnoses
        self._told.note(verdicts, detections, diagnoses)

    def _leave(self, expired: list[Expired]) -> None:
        """Add what is to be deleted where it was told; of all deployments so much a step."""
        for window_id, names in self.windows.leave(_EXPIRED_AT_ONCE - len(expired)):
            expired += metrics_of(self._name, window_id, names)
        cut_ms = self.windows.expired_ms(Kind.ACCURACY)
        if cut_ms is not None:
            expired += self._told.leave(cut_ms, _EXPIRED_AT_ONCE - len(expired))

    def _expire(self, settings: Settings, watermark: int) -> None:
        cuts_ms = {kind: buckets_before(kind, settings, watermark) for kind in Kind}
        for kind, cut_ms in cuts_ms.items():
            self.windows.expire_buckets(kind, cut_ms)
        self._concept.expire(cuts_ms[Kind.LOSSES])
        self._alerts.expire(evidence_before(settings, watermark))
        self._diagnoses.expire(max(cuts_ms[kind] for kind in RESTS_ON))
        gone = [self.windows.expire_windows(kind, windows_before(kind, settings, watermark)) for kind in Kind]
        if any(gone):
            self._alerts.refold()

    def _expected(self, settings: Settings, time: Time) -> dict[Kind, int | None]:
        """Until when all that came was read, by kind of arrivals; the slots in which nothing came are there then.

        Old slots go by the clock that makes new ones: of a silent deployment event time stands still.
        """
        read_ms = {kind: time.read_ms(topic) for kind, topic in _ARRIVE_IN.items()}
        for kind, until_ms in read_ms.items():
            due_ms = None if until_ms is None else self.windows.expect(settings, kind, until_ms)
            if due_ms is not None:
                self.windows.expire_buckets(kind, buckets_before(kind, settings, due_ms))
                if self.windows.expire_windows(kind, windows_before(kind, settings, due_ms)):
                    self._alerts.refold()
        return read_ms

    def _speak(
        self,
        deployment: Deployment,
        view: View,
        time: Time,
        read_ms: Mapping[Kind, int | None],
        old_ms: int | None,
        metrics: list[Metric],
    ) -> list[WindowId]:
        """Add what the windows say that have a turn; which of them are closed."""
        told: list[WindowId] = []
        wait_ms = self.windows.wait_ms(time.tick_ms)
        waiting = sorted(with_a_turn(self.windows, view.package, time.tick_ms, wait_ms), reverse=True)
        while waiting:
            window_id = waiting.pop()
            package = package_of(view.package, window_id.series.model)
            window = self.windows.windows[window_id]
            closes = not window.closed and is_over(window_id, deployment.settings, time.watermark, read_ms)
            waits = not window.closed and is_roll_up(window_id, deployment.settings)
            if package is None or not (closes or (not waits and may_speak(window, time.tick_ms, wait_ms))):
                continue
            content = Content(
                self.windows.summary(window_id),
                self._trust.holds(window_id),
                self._fair.groups(window_id, package, old_ms),
            )
            metrics += said_of(
                window_id,
                window,
                content,
                deployment=deployment,
                package=package,
                definitions=self._definitions,
                closes=closes,
            )
            self.windows.told(window_id, time.tick_ms, closed=window.closed or closes)
            if doubted := self._doubted(window_id, package):
                waiting = sorted({*waiting, *doubted}, reverse=True)
            if window.closed:
                told.append(window_id)
        return told

    def _doubted(self, window_id: WindowId, package: Package) -> list[WindowId]:
        """Later windows whose estimates are to be seen otherwise, since this one was told; they are dirty now."""
        if window_id.series.kind is not Kind.ACCURACY:
            return []
        found = list(self._trust.judge(window_id, verdict(self.windows.summary(window_id), package)))
        for later in found:
            self.windows.windows[later].dirty = True
            self.windows.change(later)
        return found

    def _labelled(self) -> int:
        """Labelled rows of whoever was champion when their bucket began."""
        total, buckets = 0, self.windows.buckets
        for series in buckets.of_kind(Kind.ACCURACY):
            if not series.segment:
                every = buckets.starts(series, *_EVER_MS)
                own = (start_ms for start_ms in every if self._alerts.adopted.at(start_ms) == series.model)
                total += sum(int(some.totals("matched").sum()) for _, some in buckets.counts(series, own, ("matched",)))
        return total
