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
- Of each deployment all of that is done by itself (`monitors.deployment_book`).

`flush` writes the state to the table: call it before each commit. After an abort call `forget`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from monitors.alert_book import BOOK
from monitors.concept_drift import CHECKPOINT
from monitors.deployment_book import DeploymentBook, Effects, Time, View
from monitors.diagnosis_book import DIAGNOSIS
from monitors.metrics import METRICS
from monitors.metrics import Metric as Definition
from monitors.table import StateFormatError, TablePartition, parts_of
from monitors.valuation import metrics_of_window
from monitors.verdict_book import VERDICT
from monitors.watermark import Watermarks
from monitors.whole import package_of
from monitors.window_book import KEY_KINDS, WindowBook
from schemas.deployment import Deployment
from schemas.observation import Metric, Summary, SummaryRecord


class Evaluator:
    """The fold over one partition. What it holds is in the table too, apart from what `flush` has yet to write."""

    def __init__(self, table: TablePartition, definitions: Iterable[Definition] | None = None) -> None:
        self._table = table
        self._definitions = tuple(METRICS.values() if definitions is None else definitions)
        self._books: dict[str, DeploymentBook] | None = None
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
                self._books[record.deployment].add(entry)
            return effects
        self._watermarks.update(record)
        self._watermarks.advance(self._books)
        for name in sorted(self._books):
            deployment = view.deployment(name)
            if deployment is not None:
                time = Time(record.tick_ms, self._watermarks.get(name), self._watermarks.read_ms)
                self._books[name].evaluate(deployment, view, time, effects)
        return effects

    def flush(self) -> None:
        """Write every change to the table."""
        if self._books is None or self._watermarks is None:
            return
        self._watermarks.flush()
        for name in sorted(self._books):
            self._books[name].flush()

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

    def _restored(self) -> tuple[Watermarks, dict[str, DeploymentBook]]:
        kinds = (*KEY_KINDS, BOOK, VERDICT, CHECKPOINT, DIAGNOSIS)
        names = {str(parts_of(key)[0]) for kind in kinds for key, _ in self._table.scan(kind)}
        try:
            return Watermarks(self._table), {name: self._book(name) for name in sorted(names)}
        except StateFormatError:
            raise
        except (msgspec.MsgspecError, ValueError) as error:  # a kind, a status, ... that only a newer version knows
            message = f"stored evaluator state cannot be read ({error}): upgrade the worker"
            raise StateFormatError(message) from error

    def _book(self, name: str) -> DeploymentBook:
        return DeploymentBook(self._table, name, self._definitions)


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
