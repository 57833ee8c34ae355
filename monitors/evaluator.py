"""The evaluator: from one partition of `summaries` to metrics and alerts, by nothing but the order of its records.

Rules:
- Deltas are only added up. Something is said only when a progress record is processed; its tick is the only clock. So
  how the shell cuts batches changes nothing.
- A window is closed when the watermark passes its end and the grace. An open window is emitted at most once a second of
  ticks, and only those metrics whose content changed; at the close all of them. What is said of a window after its
  close has the next revision and a reason, and comes at the pace of `monitors.pace`: at once where it was quiet.
- Alert rules read the closed windows, the change detector the closed base buckets, of the champion: of the one at the
  start, or, where that one has under half of the rows (it was replaced early), of the champion with the most.
- A rule looks at the windows that close after it came into force: a new or changed rule does not ring for the past, and
  what the old one had open is over.
- How long what is kept is the business of `monitors.retention`; old buckets age (`monitors.ageing`).

`flush` writes the state to the table: call it before each commit. After an abort call `forget`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Protocol

import msgspec

from monitors.alert_book import BOOK, AlertBook
from monitors.alert_state import Adopted
from monitors.base_buckets import BaseBuckets
from monitors.concept_drift import CHECKPOINT, ConceptDrift
from monitors.diagnosis_book import DIAGNOSIS, RESTS_ON, DiagnosisBook
from monitors.fair_windows import FairWindows
from monitors.metrics import METRICS
from monitors.metrics import Metric as Definition
from monitors.pace import TURNS
from monitors.resolved_age import ResolvedAge
from monitors.retention import buckets_before, evidence_before, windows_before
from monitors.roll_ups import is_roll_up, roll_ups
from monitors.table import StateFormatError, TablePartition, parts_of
from monitors.timeliness import ARRIVALS, allowance_ms
from monitors.trigger_book import TriggerBook
from monitors.trust import Trust, verdict
from monitors.valuation import at_risk_of, content_digest, counted, metrics_of_window, revision_reason
from monitors.verdict_book import VERDICT, VerdictBook
from monitors.watermark import Watermarks
from monitors.whole import package_of
from monitors.window_book import KEY_KINDS, WindowBook
from monitors.windows import Reading, Window, WindowId, window_of
from schemas.deployment import Compare, Deployment, Settings
from schemas.diagnosis import Diagnosis
from schemas.observation import (
    AccuracyState,
    AlertEvent,
    Detection,
    Kind,
    Metric,
    Reason,
    Summary,
    SummaryRecord,
    Verdict,
)
from schemas.package import Package
from schemas.topics import Topic
from schemas.trigger import TriggerEvent

EMIT_EVERY_MS = 1_000
_FOR_EVER_MS = 1 << 62
_ARRIVE_IN = {Kind.PREDICTION_ARRIVALS: Topic.PREDICTIONS, Kind.ACTUAL_ARRIVALS: Topic.OUTCOMES}


class View(Protocol):
    """What is in effect, as the shell knows it."""

    def deployment(self, name: str) -> Deployment | None:
        """The deployment's revision in effect; None where it is not known yet."""

    def package(self, digest: str) -> Package | None:
        """A package; None where it is not known yet."""


@dataclass(slots=True)
class Effects:
    """What to produce, in this order."""

    metrics: list[Metric] = field(default_factory=list)
    alerts: list[AlertEvent] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    detections: list[Detection] = field(default_factory=list)
    diagnoses: list[Diagnosis] = field(default_factory=list)
    triggers: list[TriggerEvent] = field(default_factory=list)


@dataclass(slots=True)
class _Book:
    windows: WindowBook
    alerts: AlertBook
    verdicts: VerdictBook
    concept: ConceptDrift
    diagnoses: DiagnosisBook
    triggers: TriggerBook
    age: ResolvedAge
    trust: Trust
    fair: FairWindows
    expired_at: tuple[int, int] | None = None  # watermark and revision


class Evaluator:
    """The fold over one partition. What it holds is in the table too, apart from what `flush` has yet to write."""

    def __init__(self, table: TablePartition, definitions: Iterable[Definition] | None = None) -> None:
        self._table = table
        self._definitions = tuple(METRICS.values() if definitions is None else definitions)
        self._kinds = {definition.name: definition.kind for definition in self._definitions}
        self._books: dict[str, _Book] | None = None
        self._watermarks: Watermarks | None = None

    def step(self, record: SummaryRecord, view: View) -> Effects:
        """Take in the next record of the partition."""
        if self._books is None or self._watermarks is None:
            self._watermarks, self._books = self._restored()
        effects = Effects()
        if isinstance(record, Summary):
            if record.entries and record.deployment not in self._books:
                self._books[record.deployment] = self._book(record.deployment)
            for entry in record.entries:
                self._books[record.deployment].windows.add(entry)
                if entry.kind is Kind.PAIRS:
                    self._books[record.deployment].verdicts.add(entry)
                elif entry.kind is Kind.ACCURACY:
                    book = self._books[record.deployment]
                    book.verdicts.add(entry)
                    book.triggers.add(entry, book.alerts.adopted)
            return effects
        self._watermarks.update(record)
        self._watermarks.advance(self._books)
        for name in sorted(self._books):
            deployment = view.deployment(name)
            if deployment is not None:
                self._evaluate(self._books[name], deployment, view, record.tick_ms, effects)
        return effects

    def flush(self) -> None:
        """Write every change to the table."""
        if self._books is None or self._watermarks is None:
            return
        self._watermarks.flush()
        for name in sorted(self._books):
            self._books[name].windows.flush()
            self._books[name].alerts.flush()
            self._books[name].verdicts.flush()
            self._books[name].concept.flush()
            self._books[name].diagnoses.flush()
            self._books[name].triggers.flush()
            self._books[name].age.flush()

    def forget(self) -> None:
        """Drop all that is not in the table: after an abort, or when the partition goes to another worker."""
        self._books = self._watermarks = None

    @property
    def deployments(self) -> list[str]:
        """Those that this partition has something of, by name."""
        return sorted(self._books or ())

    def watermark(self, deployment: str) -> int | None:
        """How far the deployment's event time has come; None before its first."""
        return (self._watermarks or Watermarks(self._table)).get(deployment)

    def _restored(self) -> tuple[Watermarks, dict[str, _Book]]:
        kinds = (*KEY_KINDS, BOOK, VERDICT, CHECKPOINT, DIAGNOSIS)
        names = {str(parts_of(key)[0]) for kind in kinds for key, _ in self._table.scan(kind)}
        try:
            return Watermarks(self._table), {name: self._book(name) for name in sorted(names)}
        except StateFormatError:
            raise
        except (msgspec.MsgspecError, ValueError) as error:  # a kind, a status, ... that only a newer version knows
            message = f"stored evaluator state cannot be read ({error}): upgrade the worker"
            raise StateFormatError(message) from error

    def _book(self, name: str) -> _Book:
        windows = WindowBook(self._table, name)
        alerts, verdicts = AlertBook(self._table, name, self._kinds), VerdictBook(self._table, name)
        return _Book(
            windows,
            alerts,
            verdicts,
            ConceptDrift(self._table, name),
            DiagnosisBook(self._table, name),
            TriggerBook(self._table, name),
            ResolvedAge(self._table, name),
            Trust(windows.windows),
            FairWindows(windows),
        )

    def _evaluate(self, book: _Book, deployment: Deployment, view: View, tick_ms: int, effects: Effects) -> None:
        watermark = self.watermark(deployment.name)
        alerts, verdicts = len(effects.alerts), len(effects.verdicts)
        effects.alerts += book.alerts.adopt(deployment, watermark)
        if watermark is not None and (book.windows.is_waiting or book.expired_at != (watermark, deployment.revision)):
            _expire(book, deployment.settings, watermark)
            book.expired_at = watermark, deployment.revision
        changed = book.windows.settle(deployment.settings, roll_ups(deployment.settings, self._kinds))
        book.diagnoses.mark(book.windows, deployment.settings, changed)
        read_ms = self._expected(book, deployment.settings)
        age_ms = 0 if watermark is None else book.age.of(book.windows.buckets, deployment, watermark)
        old_ms = None if watermark is None else watermark - age_ms
        book.fair.touch(changed, deployment.settings, old_ms)
        told: list[WindowId] = []
        wait_ms = book.windows.wait_ms(tick_ms)
        waiting = sorted(_with_a_turn(book.windows, view, tick_ms, wait_ms), reverse=True)
        while waiting:
            window_id = waiting.pop()
            package = package_of(view.package, window_id.series.model)
            window = book.windows.windows[window_id]
            closes = not window.closed and _is_over(window_id, deployment, watermark, read_ms)
            waits = not window.closed and is_roll_up(window_id, deployment.settings)
            if package is None or not (closes or (not waits and _may_speak(window, tick_ms, wait_ms))):
                continue
            effects.metrics += self._emit(book, window_id, deployment, package, old_ms, closes=closes)
            book.windows.told(window_id, tick_ms, closed=window.closed or closes)
            if doubted := _doubted(book, window_id, package):
                waiting = sorted({*waiting, *doubted}, reverse=True)
            if window.closed:
                told.append(window_id)
        news = {}
        if watermark is not None:
            news = book.alerts.judge_buckets(book.windows.buckets, view.package, watermark, changed)
            effects.verdicts += book.verdicts.evaluate(
                book.windows.buckets, deployment, view.package, watermark, age_ms
            )
            detections = list(
                book.concept.evaluate(book.windows.buckets, deployment, view.package, watermark - age_ms, changed)
            )
            effects.detections += detections
            book.diagnoses.mark_detections(book.windows, deployment.settings, detections)
            effects.diagnoses += book.diagnoses.evaluate(
                book.windows, book.concept, deployment, view.package, watermark=watermark, tick_ms=tick_ms
            )
        effects.alerts += book.alerts.evaluate(book.windows.windows, told, news)
        if watermark is not None:
            book.windows.age(deployment.settings.bucket, watermark)  # when all that closed now was judged
        if watermark is not None:
            effects.triggers += book.triggers.evaluate(
                deployment,
                watermark,
                window_of(watermark - age_ms, deployment.settings.bucket)[0],
                book.alerts.adopted,
                effects.alerts[alerts:],
                effects.verdicts[verdicts:],
                lambda: _labelled(book.windows.buckets, book.alerts.adopted),
            )

    def _expected(self, book: _Book, settings: Settings) -> dict[Kind, int | None]:
        """Until when all that came was read, by kind of arrivals; the slots in which nothing came are there then.

        Old slots go by the clock that makes new ones: of a silent deployment event time stands still.
        """
        marks = self._watermarks or Watermarks(self._table)
        read_ms = {kind: marks.read_ms(topic) for kind, topic in _ARRIVE_IN.items()}
        for kind, until_ms in read_ms.items():
            due_ms = None if until_ms is None else book.windows.expect(settings, kind, until_ms)
            if due_ms is not None:
                _expire_kind(book, kind, settings, due_ms)
        return read_ms

    def _emit(
        self,
        book: _Book,
        window_id: WindowId,
        deployment: Deployment,
        package: Package,
        old_ms: int | None,
        *,
        closes: bool,
    ) -> Iterator[Metric]:
        window = book.windows.windows[window_id]
        closed = window.closed or closes
        summary = book.windows.summary(window_id)
        holds = book.trust.holds(window_id)
        groups = book.fair.groups(window_id, package, old_ms)
        rolled = is_roll_up(window_id, deployment.settings)
        read = {rule.metric for rule in deployment.settings.alert_rules if rule.roll_up}
        metrics = list(
            metrics_of_window(
                window_id,
                summary,
                deployment=deployment,
                package=package,
                definitions=[one for one in self._definitions if not rolled or one.name in read],
                closed=closed,
                trusted=holds,
                groups=groups,
            )
        )
        digests = {_name(metric): content_digest(metric) for metric in metrics}
        said = [
            metric
            for metric, (name, digest) in zip(metrics, digests.items(), strict=True)
            if closes or window.emitted.get(name) != digest
        ]
        now_counted, reason = counted(summary), ""
        if window.closed and not closes and said:
            window.revision += 1
            reason = revision_reason(window.counted, now_counted)
            if window.counted == now_counted and window.trusted not in {None, holds}:
                reason = "calibration"
            elif window.counted == now_counted and groups is not None:
                reason = "resolved" if groups.resolved and window.resolved is False else "other_groups"
        window.resolved = None if groups is None else groups.resolved
        window.trusted = holds if any(metric.state is AccuracyState.ESTIMATE for metric in metrics) else None
        window.emitted, window.counted = digests, now_counted
        window.readings = {}
        if closed:
            window.readings = _readings(metrics, deployment.settings, window_id.series.segment, package)
        told = [] if rolled else said  # of longer windows alerts are told alone
        return (msgspec.structs.replace(metric, revision=window.revision, revision_reason=reason) for metric in told)


def current_values(
    table: TablePartition, deployment: Deployment, view: View, definitions: Iterable[Definition] | None = None
) -> Iterator[Metric]:
    """Every metric of every window that the table holds of a deployment, in time order; changes nothing.

    They are given as of open windows: `closed`, `revision` and so `final` are about emission, not about values.
    """
    chosen = tuple(METRICS.values() if definitions is None else definitions)
    windows = WindowBook(table, deployment.name)
    for window_id in windows.spans(deployment.settings):
        package = package_of(view.package, window_id.series.model)
        if package is not None:
            summary = windows.summary(window_id)
            yield from metrics_of_window(
                window_id, summary, deployment=deployment, package=package, definitions=chosen, closed=False
            )


def _doubted(book: _Book, window_id: WindowId, package: Package) -> list[WindowId]:
    """Later windows whose estimates are to be seen otherwise, since this one was emitted; they are dirty now."""
    if window_id.series.kind is not Kind.ACCURACY:
        return []
    found = list(book.trust.judge(window_id, verdict(book.windows.summary(window_id), package)))
    for later in found:
        book.windows.windows[later].dirty = True
        book.windows.change(later)
    return found


def _is_over(
    window_id: WindowId, deployment: Deployment, watermark: int | None, read_ms: Mapping[Kind, int | None]
) -> bool:
    """By event time, or, of arrivals, by the time until which all of their topic was read."""
    settings = deployment.settings
    if window_id.series.kind in ARRIVALS:
        until_ms = read_ms[window_id.series.kind]
        wait_ms = allowance_ms(settings, window_id.end_ms - window_id.start_ms)
        return until_ms is not None and until_ms >= window_id.end_ms + wait_ms
    return watermark is not None and watermark >= window_id.end_ms + settings.grace_ms


def _with_a_turn(windows: WindowBook, view: View, tick_ms: int, wait_ms: int) -> list[WindowId]:
    """The windows to look at: every open one, and of the closed ones that may speak those that have waited longest."""
    opened = [window_id for window_id in windows.due if not windows.windows[window_id].closed]
    ready = [
        (-_silent_ms(window, tick_ms), window_id)
        for window_id in windows.due
        if (window := windows.windows[window_id]).closed and _may_speak(window, tick_ms, wait_ms)
    ]
    if len(ready) > TURNS:
        ready = nsmallest(TURNS, (each for each in ready if package_of(view.package, each[1].series.model)))
    return opened + [window_id for _, window_id in ready]


def _may_speak(window: Window, tick_ms: int, wait_ms: int) -> bool:
    least_ms = wait_ms if window.closed else EMIT_EVERY_MS
    return window.dirty and _silent_ms(window, tick_ms) >= least_ms


def _silent_ms(window: Window, tick_ms: int) -> int:
    """Since when nothing was said, in either direction: a clock that was set back must not silence a window."""
    return abs(tick_ms - window.tick_ms) if window.tick_ms is not None else _FOR_EVER_MS


def _expire(book: _Book, settings: Settings, watermark: int) -> None:
    cuts_ms = {}
    for kind in Kind:
        cut_ms = buckets_before(kind, settings, watermark)
        cuts_ms[kind] = cut_ms
        book.windows.expire_buckets(kind, cut_ms)
        if kind is Kind.LOSSES:
            book.concept.expire(cut_ms)
        if kind is Kind.FEATURES:
            book.alerts.expire(evidence_before(settings, watermark))
    book.diagnoses.expire(max(cuts_ms[kind] for kind in RESTS_ON))
    gone = [book.windows.expire_windows(kind, windows_before(kind, settings, watermark)) for kind in Kind]
    if any(gone):
        book.alerts.refold()


def _expire_kind(book: _Book, kind: Kind, settings: Settings, clock_ms: int) -> None:
    book.windows.expire_buckets(kind, buckets_before(kind, settings, clock_ms))
    if book.windows.expire_windows(kind, windows_before(kind, settings, clock_ms)):
        book.alerts.refold()


def _labelled(buckets: BaseBuckets, champions: Adopted) -> int:
    """Labelled rows of whoever was champion when their bucket began."""
    total = 0
    for series in buckets.of_kind(Kind.ACCURACY):
        if not series.segment:
            every = buckets.starts(series, -_FOR_EVER_MS, _FOR_EVER_MS)
            own = (start_ms for start_ms in every if champions.at(start_ms) == series.model)
            total += sum(one.count("matched") for one in buckets.each_count(series, own, ("matched",)))
    return total


def _readings(metrics: list[Metric], settings: Settings, segment: str, package: Package) -> dict[str, Reading]:
    wanted = {segment, "*"} if segment else {""}
    rules = [rule for rule in settings.alert_rules if rule.segment in wanted]
    watched = {rule.metric for rule in rules}
    by_status = {rule.metric for rule in rules if rule.compare is Compare.STATUS}
    return {
        _name(metric): Reading(
            _read(metric),
            metric.low,
            metric.baseline,
            metric.n,
            metric.status,
            borderline=metric.borderline,
            at_risk=at_risk_of(metric, settings, package) if metric.metric in by_status else None,
        )
        for metric in metrics
        if metric.metric in watched
    }


def _read(metric: Metric) -> float | None:
    """What a rule reads: an estimate that is not to be believed is none."""
    doubted = metric.state is AccuracyState.ESTIMATE and metric.reason is Reason.UNCALIBRATED
    return None if doubted else metric.value


def _name(metric: Metric) -> str:
    return f"{metric.metric}/{metric.feature}"
