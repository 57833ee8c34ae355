"""Integrity of the flow: what must come to the same, and does not.

A difference is normal while records are under way. One that is left when the window has closed is failing: something
was lost, or counted twice.

`unanswered`: requests less answers (predictions and errors). `missing_shadows`: requests answered while this model was
a challenger, less what it answered. Around a change of the challengers scorer and shadow may adopt the new revision at
different requests, so that a difference in a window with several revisions is `not_resolved`. `pending`: answers for
which no actual has come, nor the end of the wait; below 0 there were more outcomes than answers. `rejected_actuals`:
actuals that entered no metric, as their time is out of the deployment's bounds; told in the window in which they came.
Actuals that cannot be read, or are of no deployment, belong to none: the joiner's heartbeat counts them as skipped.

>>> import numpy as np
>>> from monitors.whole import WHOLE
>>> summary = Summary({"requests": np.array([100]), "answers": np.array([98])})
>>> METRICS[0].name, METRICS[0].compute(summary, WHOLE, "").value
('unanswered', 2.0)
"""

from __future__ import annotations

from monitors.folds.flow import ASKED
from monitors.metrics import targets
from monitors.metrics.protocol import Judgement, Metric, Value
from monitors.summary import Summary
from schemas.deployment import Settings
from schemas.observation import Kind, Reason, Status
from schemas.package import Package


def _of_deployment(package: Package) -> bool:
    return not package.digest


def _of_model(package: Package) -> bool:
    return bool(package.digest)


def _unanswered(summary: Summary, package: Package, feature: str = "") -> Value:
    del package, feature
    requests = summary.count("requests")
    return Value(float(requests - summary.count("answers")), n=max(requests, 0))


def _missing_shadows(summary: Summary, package: Package, feature: str = "") -> Value:
    del package, feature
    revisions = [summary.count(name) for name in summary.counts if name.startswith(ASKED)]
    missing = sum(revisions) - summary.count("shadows")
    unsure = missing and sum(rows > 0 for rows in revisions) != 1
    return Value(float(missing), n=max(sum(revisions), 0), reason=Reason.NOT_RESOLVED if unsure else None)


def _pending(summary: Summary, package: Package, feature: str = "") -> Value:
    del package, feature
    known = sum(summary.count(name) for name in ("matched", "expired", "invalid_actual"))
    return Value(float(summary.count("expected") - known), n=max(summary.count("expected"), 0))


def _rejected(summary: Summary, package: Package, feature: str = "") -> Value:
    del package, feature
    rejected = max(summary.count("rejected_actuals"), 0)
    return Value(float(rejected), n=rejected)


def _none_left(value: Value, feature: str, settings: Settings, closed: bool) -> Judgement | None:  # noqa: FBT001  # as every judge
    del feature, settings
    if not closed:
        return None
    if not value.value:
        return Judgement(Status.PASSING)
    return Judgement(Status.UNKNOWN if value.reason else Status.FAILING, reason=value.reason)


def _none_too_many(value: Value, feature: str, settings: Settings, closed: bool) -> Judgement | None:  # noqa: FBT001  # the same
    del feature, settings
    if not closed or value.value is None:
        return None
    return Judgement(Status.FAILING if value.value < 0 else Status.PASSING)


METRICS = (
    Metric("unanswered", Kind.FLOW, _of_deployment, _unanswered, judge=_none_left),
    Metric("rejected_actuals", Kind.FLOW, _of_deployment, _rejected),
    Metric("missing_shadows", Kind.FLOW, _of_model, _missing_shadows, judge=_none_left),
    Metric("pending", Kind.ACCURACY, targets.always, _pending, judge=_none_too_many, live=True),
)
