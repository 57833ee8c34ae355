"""How far the workers are behind, for the report: as they said it of themselves in their last heartbeats.

A worker that fell silent says nothing of what came since, and another may have its partitions by now: of a role with
workers that are heard, only these count.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from infra.report.content import Behind
from streams.cli._shared import STALE_S
from streams.cli.status import age_s, lag_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.observation import Heartbeat


def behind(workers: Iterable[Heartbeat], now_ms: int) -> tuple[Behind, ...]:
    """Each role that was ever heard of, by name."""
    by_role: dict[str, list[Heartbeat]] = defaultdict(list)
    for one in sorted(workers, key=lambda one: one.at_ms):
        by_role[one.role].append(one)
    return tuple(_behind(role, by_role[role], now_ms) for role in sorted(by_role))


def _behind(role: str, workers: list[Heartbeat], now_ms: int) -> Behind:
    heard = [one for one in workers if age_s(one, now_ms) <= STALE_S]
    partitions = {place: lag for one in heard or workers for place, lag in one.partitions.items()}
    said = "" if heard else f"not heard of for {age_s(workers[-1], now_ms):,.0f} s"
    return Behind(role, len(heard), lag_of(partitions), said)
