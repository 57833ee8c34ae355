"""What a metric is: a named pure function from a summary to a value or a reason.

Rules (STATISTICS section 0): never NaN, never an exception. Where `value` is None, `reason` says why; a value may carry
a reason too, as a warning. Counts below zero (a retraction that was read before what it retracts) count as none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitors.summary import Summary
from schemas.deployment import DriftStatistic, Limits, Settings
from schemas.observation import Kind, Reason, Status
from schemas.package import Package

if TYPE_CHECKING:
    from monitors.metrics.parity import Groups

Compute = Callable[[Summary, Package, str], "Value"]


@dataclass(frozen=True, slots=True)
class Value:
    """A metric of one window: `low`, `high` are a 95 % interval (None where none is offered), `n` the rows it rests on.

    `baseline` is the value on holdout where there is one. `bound` is a proven limit of the error that counting in bins
    makes: the value of the rows themselves is within it; None where that is exact, or not bounded.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    baseline: float | None = None
    reason: Reason | None = None
    bound: float | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A status; `borderline` where the interval holds a threshold: shown, and alone it never fires an alert."""

    status: Status
    borderline: bool = False
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `kind` is the stage whose summary `compute(summary, package, feature)` reads.

    `applies` says whether the metric has a meaning for a package at all. A `per_feature` metric is computed for each
    watched feature by name; for the others `feature` is "". `judge(value, feature, settings, closed)` is the status of
    a metric that has thresholds of its own; None: no status yet. `configure(settings)` is the `compute` of a
    deployment, where a setting is part of what is measured; `compute` is then that of the default settings. A metric
    that is `live` is of what happens, not of how good the model is: it has no value on holdout. `labels(settings)` are
    what stands for features in a metric that is computed for each of something else.

    `drift` is the drift statistic that a metric tells of, None for all others. `limits` are its default thresholds,
    None where it has no status; `quiet(package, feature, n)` those that noise alone passes in 1 % and 0.1 % of windows.

    A metric `by_threshold` is of the predicted classes, so that another decision threshold gives another value.

    A metric `at_close` costs so much that it is computed for closed windows only; one with `is_wanted(settings)` only
    where a deployment's settings want it.

    A metric `among` groups compares a segment with the others of the same protected feature; `compute`, which sees one
    summary only, says that it does not apply.
    """

    name: str
    kind: Kind
    applies: Callable[[Package], bool]
    compute: Compute
    per_feature: bool = False
    judge: Callable[[Value, str, Settings, bool], Judgement | None] | None = None
    configure: Callable[[Settings], Compute] | None = None
    live: bool = False
    labels: Callable[[Settings], list[str]] | None = None
    drift: DriftStatistic | None = None
    limits: Limits | None = None
    quiet: Callable[[Package, str, int], Limits] | None = None
    at_close: bool = False
    is_wanted: Callable[[Settings], bool] | None = None
    by_threshold: bool = False
    among: Callable[[Groups], Value] | None = None

    def asked_of(self, watched: list[str], settings: Settings) -> list[str]:
        """The features, or what stands for them, that the metric is computed for."""
        if self.is_wanted is not None and not self.is_wanted(settings):
            return []
        if self.labels is not None:
            return self.labels(settings)
        return watched if self.per_feature else [""]

    def computed_by(self, settings: Settings) -> Compute:
        """How the metric is computed for a deployment with these settings."""
        return self.compute if self.configure is None else self.configure(settings)
