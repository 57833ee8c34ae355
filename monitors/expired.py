"""What was told of a window, to be deleted where it was told when the window is kept no longer.

Rules:
- The record of a window knows its metrics by name; all else has notes (`monitors.told_book`).
- What is named here has the names of what was told, so that both have one key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from monitors.windows import WindowId


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


class ExpiredDetection(NamedTuple):
    """What a detector found (`schemas.observation.Detection`)."""

    deployment: str
    model: str
    detector: str
    at_ms: int


Expired = ExpiredMetric | ExpiredDiagnosis | ExpiredVerdict | ExpiredDetection


def metrics_of(deployment: str, window_id: WindowId, names: Iterable[str]) -> Iterator[ExpiredMetric]:
    """The metrics that were told of a window, by the `names` in its record.

    >>> from monitors.windows import Series
    >>> from schemas.observation import Kind
    >>> window_id = WindowId(0, 60_000, Series(Kind.FEATURES, "m1", "plan=a"))
    >>> [(one.metric, one.feature) for one in metrics_of("churn", window_id, ["psi/rate/km", "rows/"])]
    [('psi', 'rate/km'), ('rows', '')]
    """
    start_ms, end_ms, (_, model, segment) = window_id
    for name in names:
        metric, _, feature = name.partition("/")
        yield ExpiredMetric(deployment, model, metric, feature, segment, start_ms, end_ms)
