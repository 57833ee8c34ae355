"""Requests as summaries: each by the revision and champion that the scorer served it with, as its switch records say.

Which are good is for that revision's bounds of time to say as well, whatever the newest one says of them.
Good requests are folded into what is known of the features, refused ones into what is wrong with them; both are asked
for in the flow, where answers must meet them.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from monitors.folds import fold_features, fold_flow, fold_refusals, fold_schemas
from monitors.folds.foreseen import fold_foreseen, has_error_model
from schemas.request_json import unknown_features
from schemas.requests import decode_requests
from schemas.topics import Topic
from scorers.segments import caller_segments, segment_columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from monitors.folds import SummaryKey
    from monitors.summary import Summary
    from schemas.admission import Refused
    from schemas.deployment import Deployment
    from schemas.records import Records
    from schemas.requests import RequestRows, Requests
    from scorers.segments import Callers
    from streams.catalog import Catalog, History, Switches

    Folded = Iterator[tuple[str, dict[SummaryKey, Summary]]]
    Rows = NDArray[np.int64]

SCHEMA_EVERY = 16  # by offset, so that any replay looks at the same requests

log = logging.getLogger("watchkeeper.observer")


class RequestFolds:
    """The folds of one worker; nothing is kept between batches."""

    def __init__(self, catalog: Catalog, history: History, switches: Switches) -> None:
        self._catalog, self._history, self._switches = catalog, history, switches

    def read(self, records: Records) -> Iterator[tuple[Records, Requests]]:
        """The requests of a batch; those that were served within other bounds than the newest in parts of their own."""
        deployments = self._catalog.deployments
        requests = decode_requests(records, deployments)
        others = list(self._within_other_bounds(records, requests))
        if not others:
            yield records, requests
            return
        rest = np.setdiff1d(np.arange(len(records)), np.concatenate([rows for _, rows in others]))
        for known, rows in ((deployments, rest), *(({served.name: served}, rows) for served, rows in others)):
            part = records.take(rows)
            yield part, decode_requests(part, known)

    def _within_other_bounds(self, records: Records, requests: Requests) -> Iterator[tuple[Deployment, Rows]]:
        """Revisions whose bounds are not the newest ones, and the rows that the scorer served with them."""
        partitions, places = np.unique(records.partitions, return_index=True)
        firsts = dict(zip(partitions.tolist(), records.offsets[places].tolist(), strict=True))
        known: dict[str, list[Rows]] = defaultdict(list)
        for group in requests.groups:
            known[group.deployment.name].append(group.rows)
        for name, refused in _by_deployment(requests.refused).items():
            known[name].append(np.array([one.row for one in refused], np.int64))
        for name, rows in known.items():
            newest = self._catalog.deployments.get(name)
            if newest is None or self._is_settled(newest, firsts):
                continue
            at = np.sort(np.concatenate(rows))
            for served, _, chosen in self._served(newest, records, at):
                if _bounds(served) != _bounds(newest):
                    yield served, at[chosen]

    def _is_settled(self, newest: Deployment, firsts: dict[int, int]) -> bool:
        """Whether the newest revision served all from the first offset of each partition on."""
        for partition, first in firsts.items():
            offsets, switches = self._switches.spans(newest.name, Topic.REQUESTS.value, partition)
            if switches and (offsets[-1] > first or switches[-1].revision != newest.revision):
                return False
        return True

    def fold(self, records: Records, requests: Requests) -> Folded:
        """Deltas by the name of the deployment."""
        for group in requests.groups:
            deployment = self._catalog.deployments[group.deployment.name]
            bucket = deployment.settings.bucket
            for served, digest, rows in self._served(deployment, records, group.rows):
                yield from self._features(records, group, served, digest, rows)
            yield deployment.name, fold_flow("requests", group.timestamps_ms, "", bucket)
        for name, refused in _by_deployment(requests.refused).items():
            if asked := self._catalog.deployments.get(name):
                yield from self._refusals(records, asked, refused)

    def _features(self, records: Records, group: RequestRows, served: Deployment, digest: str, rows: Rows) -> Folded:
        package, settings = self._catalog.package(digest), served.settings
        whole = len(rows) == len(group.rows)
        features = group.features if whole else group.features[rows]
        times = group.timestamps_ms if whole else group.timestamps_ms[rows]
        callers = group.callers if whole else _taken(group.callers, rows)
        segments = segment_columns(served, package, features, callers)
        ids = [group.association_ids[row].encode() for row in rows.tolist()] if settings.row_sample else None
        yield (
            served.name,
            fold_features(features, times, segments, package, settings.bucket, settings.excluded, ids),
        )
        for model in (package, *map(self._catalog.package, (one.digest for one in served.challengers))):
            if has_error_model(model):
                found = fold_foreseen(features, times, segments, model, settings.bucket, settings.excluded)
                yield served.name, found
        looked_at = [
            (place, value)
            for place in np.flatnonzero(records.offsets[group.rows[rows]] % SCHEMA_EVERY == 0).tolist()
            if (value := records.values[group.rows[rows[place]]] or b"").startswith(b"{")
        ]
        if looked_at:
            places = [place for place, _ in looked_at]
            unknown = np.array([bool(unknown_features(value, served.features)) for _, value in looked_at])
            belong = [column.gather(places) for column in segments]
            yield served.name, fold_schemas(unknown, times[places], belong, digest, settings.bucket)

    def _refusals(self, records: Records, deployment: Deployment, refused: list[Refused]) -> Folded:
        at = np.array([one.row for one in refused], np.int64)
        kafka_ms = records.timestamps_ms[at].tolist()
        times = np.array([one.counted_ms(ms) for one, ms in zip(refused, kafka_ms, strict=True)], np.int64)
        for served, digest, rows in self._served(deployment, records, at):
            chosen = [refused[row] for row in rows.tolist()]
            causes = [(one.code, one.feature) for one in chosen]
            segments = [caller_segments(served.settings, one.callers) for one in chosen]
            yield served.name, fold_refusals(causes, times[rows], segments, digest, served.settings.bucket)
        yield deployment.name, fold_flow("requests", times, "", deployment.settings.bucket)

    def _served(self, deployment: Deployment, records: Records, at: Rows) -> Iterator[tuple[Deployment, str, Rows]]:
        """Rows by the revision and champion that the scorer served them with."""
        partitions, offsets = records.partitions[at], records.offsets[at]
        revisions = np.full(at.size, deployment.revision, np.int64)
        digests = {deployment.revision: deployment.champion.digest}
        for partition in np.unique(partitions):
            firsts, switches = self._switches.spans(deployment.name, Topic.REQUESTS.value, int(partition))
            here = np.flatnonzero(partitions == partition)
            index = np.searchsorted(firsts, offsets[here], side="right") - 1
            if not switches or index.min() < 0:
                log.warning("no switch record for some requests to %s; its newest revision is taken", deployment.name)
            if switches:
                table = np.array([switch.revision for switch in switches], np.int64)
                revisions[here] = np.where(index < 0, revisions[here], table[index])
                digests |= {switch.revision: switch.digest for switch in switches}
        for revision in np.unique(revisions).tolist():
            served = self._history.at(deployment.name, revision) or deployment
            yield served, digests[revision], np.flatnonzero(revisions == revision)


def _bounds(deployment: Deployment) -> tuple[int, int]:
    return deployment.settings.max_age_ms, deployment.settings.max_future_ms


def _by_deployment(refused: list[Refused]) -> dict[str, list[Refused]]:
    found: dict[str, list[Refused]] = defaultdict(list)
    for one in refused:
        found[one.deployment].append(one)
    return dict(sorted(found.items()))


def _taken(callers: Callers, rows: Rows) -> Callers:
    return {name: texts and [texts[row] for row in rows] for name, texts in callers.items()}
