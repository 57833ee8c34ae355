"""From the views to what a report says of fairness: the range as one, and each window as it was said."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from infra.fair import DESERVED, GIVEN
from infra.report.content import Line, Protected
from streams.cli._fairness import plain
from streams.cli._report import point_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from infra.report.content import Point
    from monitors.fairness import Fairness
    from monitors.periods import Range
    from schemas.deployment import Deployment
    from schemas.observation import Metric

DRAWN = (GIVEN, DESERVED)


def protected(
    found: Iterable[Fairness],
    said: Iterable[Metric],
    deployment: Deployment,
    names: Mapping[str, str],
    over: Range,
) -> tuple[Protected, ...]:
    """Each protected feature. `said`: all metrics, in time order; `names` are of models, by digest."""
    windows: dict[tuple[str, str], dict[str, list[Metric]]] = defaultdict(lambda: defaultdict(list))
    for one in said:
        if one.metric in DRAWN and over.start_ms < one.window_end_ms and one.window_start_ms < over.end_ms:
            windows[one.metric, one.segment][one.model].append(one)
    champion, *challengers = (one.digest for one in (deployment.champion, *deployment.challengers))
    return tuple(
        Protected(
            fair,
            names[champion],
            tuple(names[one] for one in challengers if one in names),
            tuple(_lines(fair.feature, windows, champion, challengers, names, fair.fair_from)),
        )
        for fair in plain(found, deployment, names)
    )


def _lines(
    feature: str,
    windows: Mapping[tuple[str, str], Mapping[str, list[Metric]]],
    champion: str,
    challengers: Iterable[str],
    names: Mapping[str, str],
    fair_from: float,
) -> Iterator[Line]:
    """Of each group that is not the reference all the time, by metric."""
    for (metric, segment), by_model in sorted(windows.items(), key=lambda item: (DRAWN.index(item[0][0]), item[0][1])):
        name, _, group = segment.partition("=")
        served = by_model.get(champion, [])
        if name != feature or all(one.low is None for one in served):
            continue
        beside = ((names[one], _points(by_model[one])) for one in challengers if one in by_model and one in names)
        yield Line(
            f"{group}: {metric.replace('_', ' ')}",
            _points(served),
            (("fair from", fair_from), ("fair to", 1 / fair_from)),
            beside=tuple(beside),
        )


def _points(windows: Iterable[Metric]) -> tuple[Point, ...]:
    return tuple(map(point_of, windows))
