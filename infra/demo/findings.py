"""What the demo says of monitoring besides drift and accuracy: stages, data quality, segments, what was noticed when.

Plain structures for `--json` and for the tables of `infra.demo.show`. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from schemas.deployment import CHANGE_DETECTED, MATERIAL_DRIFT
from schemas.observation import AlertPhase, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from schemas.observation import AlertEvent, Metric

_BAD = (Status.AT_RISK, Status.FAILING)


class Stage(msgspec.Struct, frozen=True):
    """How a stage of a deployment stands; `why` where it is not passing."""

    name: str
    status: str
    why: str


class Quality(msgspec.Struct, frozen=True):
    """A metric of data quality of one feature, in the closed window where it was worst: value less what is usual.

    `windows` of `of` closed ones were at risk or failing; `usual` is the training rows' own rate.
    """

    metric: str
    feature: str
    status: str
    value: float
    usual: float
    window_start_ms: int
    n: int
    windows: int
    of: int


class Part(msgspec.Struct, frozen=True):
    """What a segment adds to a change: `mix`, more or fewer rows of its kind, and `effect`, it has changed itself."""

    segment: str
    mix: float
    effect: float
    before: float | None
    after: float | None
    rows_before: int
    rows_after: int


class Explained(msgspec.Struct, frozen=True):
    """Why a mean over rows changed from one month to another, by the segments of one feature."""

    metric: str
    feature: str
    month_before: str
    month: str
    before: float
    after: float
    parts: tuple[Part, ...]


class Noticed(msgspec.Struct, frozen=True):
    """When each rule first rang for a feature (ms of event time); null where never. `evidence`: odds on that day."""

    deployment: str
    feature: str
    changed_ms: int | None
    drifted_ms: int | None
    evidence: str


def qualities(metrics: Iterable[Metric]) -> tuple[Quality, ...]:
    """Of metrics of data quality by feature: what was bad in some closed window, the most often bad first."""
    found: dict[tuple[str, str], list[Metric]] = defaultdict(list)
    for one in metrics:
        if one.closed and one.feature and one.value is not None and one.status:
            found[one.metric, one.feature].append(one)
    told = [_quality(windows) for windows in found.values() if any(one.status in _BAD for one in windows)]
    return tuple(sorted(told, key=lambda one: (-one.windows, one.metric, one.feature)))


def noticed(events: Iterable[AlertEvent]) -> tuple[Noticed, ...]:
    """When change and material drift were first seen of each feature, the earliest first."""
    first: dict[tuple[str, str], dict[str, AlertEvent]] = defaultdict(dict)
    for event in events:
        said = event.data
        if said.feature and said.phase is AlertPhase.FIRING and not said.segment:
            first[said.deployment, said.feature].setdefault(said.rule, event)
    found = [_noticed(*names, rules) for names, rules in first.items()]
    return tuple(sorted(found, key=lambda one: (one.changed_ms or one.drifted_ms or 0, one.deployment, one.feature)))


def _quality(windows: list[Metric]) -> Quality:
    worst = max(windows, key=lambda one: (one.status in _BAD, (one.value or 0.0) - (one.baseline or 0.0)))
    return Quality(
        metric=worst.metric,
        feature=worst.feature,
        status=(worst.status or Status.UNKNOWN).value,
        value=worst.value or 0.0,
        usual=worst.baseline or 0.0,
        window_start_ms=worst.window_start_ms,
        n=worst.n,
        windows=len({one.window_start_ms for one in windows if one.status in _BAD}),
        of=len({one.window_start_ms for one in windows}),
    )


def _noticed(deployment: str, feature: str, rules: Mapping[str, AlertEvent]) -> Noticed:
    change, drift = rules.get(CHANGE_DETECTED.name), rules.get(MATERIAL_DRIFT.name)
    return Noticed(
        deployment,
        feature,
        change.data.changed_ms if change else None,
        drift.data.changed_ms if drift else None,
        change.data.text.partition("; evidence ")[2].partition(" in the bucket")[0] if change else "",
    )
