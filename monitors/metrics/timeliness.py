"""Whether predictions, and actuals, came in a slot of the expected length: 0 on time, 1 late, 2 missed.

`monitors.timeliness` has the rules. Late is at risk, missed is failing; `n` is 1, the slot.

>>> import numpy as np
>>> from monitors.whole import WHOLE
>>> came = [Summary({"in_slot": np.array([3])}), Summary({"after": np.array([1])}), Summary()]
>>> [METRICS[0].compute(summary, WHOLE, "").value for summary in came]
[0.0, 1.0, 2.0]
"""

from __future__ import annotations

from monitors.metrics import targets
from monitors.metrics.protocol import Judgement, Metric, Value
from monitors.summary import Summary
from schemas.deployment import Settings
from schemas.observation import Kind, Status
from schemas.package import Package

ON_TIME, LATE, MISSED = 0.0, 1.0, 2.0


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del package, feature
    if summary.count("in_slot") > 0:
        return Value(ON_TIME, n=1)
    return Value(LATE if summary.count("after") > 0 else MISSED, n=1)


def _judge(value: Value, feature: str, settings: Settings, closed: bool) -> Judgement | None:  # noqa: FBT001  # as every judge
    del feature, settings
    if value.value == ON_TIME:
        return Judgement(Status.PASSING)
    if not closed:
        return None
    return Judgement(Status.AT_RISK if value.value == LATE else Status.FAILING)


METRICS = (
    Metric("prediction_timeliness", Kind.PREDICTION_ARRIVALS, targets.always, _compute, judge=_judge),
    Metric("actual_timeliness", Kind.ACTUAL_ARRIVALS, targets.always, _compute, judge=_judge),
)
