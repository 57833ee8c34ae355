"""Base buckets from the views, for reading: windows of any length, as the pure core sums and values them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from monitors.ageing import AGED_KINDS, cuts_ms, placed
from monitors.rollup import ROLL_UPS_MS, Buckets, Reader
from monitors.summary import Summary
from monitors.table import opened
from monitors.windows import Series
from schemas.observation import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from infra.views import Views
    from monitors.metrics import Metric as Definition
    from schemas.deployment import Deployment
    from schemas.observation import Metric

EVER = -(1 << 62), 1 << 62


def reader_of(
    views: Views,
    deployment: Deployment,
    *,
    wanted: Callable[[Series], bool] = lambda _: True,
    definitions: Iterable[Definition] | None = None,
    between: tuple[int, int] = EVER,
) -> Reader:
    """What reads a deployment's windows. `wanted` chooses the series, `between` the buckets by their start (ms)."""
    watermark_ms = watermark_of(views, deployment.name)
    aged = between
    if watermark_ms is not None:  # what was added up with age begins before the time that is asked for
        since = placed(np.array([between[0]]), cuts_ms(deployment.settings.bucket, watermark_ms))
        aged = int(since[0]), between[1]
    buckets = Buckets(_rows(views, deployment.name, wanted, lambda kind: aged if kind in AGED_KINDS else between))
    return Reader(buckets, deployment, views.packages().get, watermark_ms=watermark_ms, definitions=definitions)


def watermark_of(views: Views, deployment: str) -> int | None:
    """How far a deployment's event time has come; None before its first."""
    stored = views.watermark(deployment)
    return None if stored is None else msgspec.msgpack.decode(opened(stored), type=int)


def rolled_up(views: Views, deployment: Deployment, small: Sequence[Metric]) -> list[Metric | None]:
    """What the drift status of each of these rests on, all of them of windows of one model that end together."""
    if not small:
        return []
    wanted = {Series(kind, small[0].model, "") for kind in (Kind.FEATURES, Kind.PREDICTIONS)}
    between = small[0].window_end_ms - max(ROLL_UPS_MS.values()), small[0].window_end_ms
    reader = reader_of(views, deployment, wanted=wanted.__contains__, definitions=(), between=between)
    return [reader.rolled_up(one) for one in small]


def _rows(
    views: Views,
    deployment: str,
    wanted: Callable[[Series], bool],
    between: Callable[[Kind], tuple[int, int]],
) -> Iterator[tuple[Series, int, Summary]]:
    for name in views.series(deployment):
        kind, model, segment = name.split("|", 2)
        series = Series(Kind(kind), model, segment)
        if wanted(series):
            for start_ms, value in views.buckets(deployment, name, *between(series.kind)):
                yield series, start_ms, Summary.decode(opened(value))
