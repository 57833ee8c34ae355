"""What was told of a window, to be deleted where it was told when the window is kept no longer.

Rules:
- The record of a window knows its metrics by name. Diagnoses and verdicts go with the windows of accuracy, all rows, of
  their model: those of the challenger, beside whoever was champion. Not each window had one: what was never told and is
  deleted is nothing.
- What is named here has the names of what was told, so that both have one key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from monitors.windows import WindowId
from schemas.observation import Kind


class ExpiredMetric(NamedTuple):
    """A metric of a window (`schemas.observation.Metric`)."""

    deployment: str
    model: str
    metric: str
    feature: str
    segment: str
    window_start_ms: int
    window_end_ms: int


class ExpiredDiagnosis(NamedTuple):
    """The diagnosis of a window (`schemas.diagnosis.Diagnosis`)."""

    deployment: str
    model: str
    window_start_ms: int
    window_end_ms: int


class ExpiredVerdict(NamedTuple):
    """The verdict that was told in a window (`schemas.observation.Verdict`)."""

    deployment: str
    champion: str
    challenger: str
    window_start_ms: int


Expired = ExpiredMetric | ExpiredDiagnosis | ExpiredVerdict


def expired_of(
    deployment: str, window_id: WindowId, names: Iterable[str], champions: Iterable[str]
) -> Iterator[Expired]:
    """All that may have been told of a window. `names`: of its record; `champions`: whoever served at some time.

    >>> from monitors.windows import Series
    >>> window_id = WindowId(0, 60_000, Series(Kind.FEATURES, "m1", "plan=a"))
    >>> [(one.metric, one.feature) for one in expired_of("churn", window_id, ["psi/rate/km", "rows/"], ["m1"])]
    [('psi', 'rate/km'), ('rows', '')]
    >>> window_id = WindowId(0, 60_000, Series(Kind.ACCURACY, "m2", ""))
    >>> for one in expired_of("churn", window_id, [], ["m1", "m2"]):
    ...     print(one)
    ExpiredDiagnosis(deployment='churn', model='m2', window_start_ms=0, window_end_ms=60000)
    ExpiredVerdict(deployment='churn', champion='m1', challenger='m2', window_start_ms=0)
    """
    start_ms, end_ms, (kind, model, segment) = window_id
    for name in names:
        metric, _, feature = name.partition("/")
        yield ExpiredMetric(deployment, model, metric, feature, segment, start_ms, end_ms)
    if kind is Kind.ACCURACY and not segment:
        yield ExpiredDiagnosis(deployment, model, start_ms, end_ms)
        for champion in champions:
            if champion != model:
                yield ExpiredVerdict(deployment, champion, model, start_ms)
