"""The current state in Redis: what the command line and the dashboard read. A view of the topics, nothing more.

Every write is a put of a newest value under its own key, so that writing twice is the same as once and a lost Redis is
refilled from the compacted topics. `generation` marks a filled view: absent, it must be rebuilt.

Base buckets lie in a hash for each series, the bucket's start as field, so that a reader takes the series and the time
that it needs; their values are the evaluator's, unread.
"""

from __future__ import annotations

import logging
from itertools import islice
from typing import TYPE_CHECKING, TypeVar, cast

import msgspec
import redis

from schemas.deployment import Deployment
from schemas.diagnosis import Diagnosis
from schemas.observation import Alert, AlertEvent, Detection, Heartbeat, Metric, Verdict
from schemas.package import Feature, Package
from schemas.trigger import Trigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T")
log = logging.getLogger("watchkeeper.views")


class _Featured(msgspec.Struct):
    """Of a package what a status needs: its baseline is a hundred times as large."""

    features: tuple[Feature, ...]


_decode_metric = msgspec.json.Decoder(Metric).decode
_decode_verdict = msgspec.json.Decoder(Verdict).decode
_decode_detection = msgspec.json.Decoder(Detection).decode
_decode_diagnosis = msgspec.json.Decoder(Diagnosis).decode
_decode_event = msgspec.json.Decoder(AlertEvent).decode
_decode_trigger = msgspec.json.Decoder(TriggerEvent).decode
_decode_deployment = msgspec.json.Decoder(Deployment).decode
_decode_package = msgspec.json.Decoder(Package).decode
_decode_features = msgspec.json.Decoder(_Featured).decode
_decode_heartbeat = msgspec.json.Decoder(Heartbeat).decode

Row = tuple[str, str, bytes | None]  # hash, field, value (None removes)


class Views:
    """Reads and writes under one prefix."""

    def __init__(self, address: str, prefix: str) -> None:
        self._redis = redis.Redis.from_url(address, socket_timeout=10, socket_connect_timeout=5)
        self._prefix = prefix

    def is_filled(self) -> bool:
        """Whether what is there was put there by `mark_filled` and not lost since."""
        return bool(self._redis.exists(self._key("generation")))

    def mark_filled(self) -> None:
        """The view holds everything."""
        self._redis.set(self._key("generation"), b"1")

    def clear(self) -> None:
        """Remove all of the view."""
        for key in self._redis.scan_iter(match=f"{self._prefix}:view:*", count=1000):
            self._redis.delete(key)

    def put(self, rows: Iterable[Row]) -> None:
        """Write newest values in one go; of several under one key only the last."""
        pipeline = self._redis.pipeline(transaction=True)  # who reads sees a bucket or what it was added to, not both
        for (name, field), value in {(name, field): value for name, field, value in rows}.items():
            if value is None:
                pipeline.hdel(self._key(name), field)
            else:
                pipeline.hset(self._key(name), field, value)
        pipeline.execute()

    def deployments(self) -> dict[str, Deployment]:
        """By name."""
        return readable("deployments", self._all("deployments"), _decode_deployment)

    def packages(self) -> dict[str, Package]:
        """By digest."""
        return readable("packages", self._all("packages"), _decode_package)

    def package(self, digest: str) -> Package | None:
        """One package, None where it is not known."""
        value = cast("bytes | None", self._redis.hget(self._key("packages"), digest))
        return None if value is None else _decode_package(value)

    def features(self, digests: Iterable[str]) -> dict[str, tuple[Feature, ...]]:
        """The features of packages with their importance, by digest; those that are not known are left out."""
        wanted = list(dict.fromkeys(digests))
        values = cast("list[bytes | None]", self._redis.hmget(self._key("packages"), wanted)) if wanted else []
        return {
            digest: _decode_features(value).features
            for digest, value in zip(wanted, values, strict=True)
            if value is not None
        }

    def metrics(self, deployment: str) -> list[Metric]:
        """All metrics of a deployment, in time order."""
        found = readable("metrics", self._all(f"metrics:{deployment}"), _decode_metric).values()
        return sorted(found, key=lambda m: (m.window_start_ms, m.metric, m.feature, m.segment, m.model))

    def verdicts(self, deployment: str) -> list[Verdict]:
        """What was told of a deployment's challengers, in time order."""
        found = readable("verdicts", self._all(f"verdicts:{deployment}"), _decode_verdict).values()
        return sorted(found, key=lambda one: (one.window_start_ms, one.champion, one.challenger))

    def detections(self, deployment: str) -> list[Detection]:
        """Where detectors found changes of a deployment's losses, retracted ones too, in time order."""
        found = readable("detections", self._all(f"detections:{deployment}"), _decode_detection).values()
        return sorted(found, key=lambda one: (one.at_ms, one.detector, one.model))

    def diagnoses(self, deployment: str) -> list[Diagnosis]:
        """What may be the matter in each closed window of a deployment's models, in time order."""
        found = readable("diagnoses", self._all(f"diagnoses:{deployment}"), _decode_diagnosis).values()
        return sorted(found, key=lambda one: (one.window_start_ms, one.window_end_ms, one.model))

    def alerts(self) -> list[Alert]:
        """The newest state of each alert, oldest first."""
        found = [event.data for event in readable("alerts", self._all("alerts"), _decode_event).values()]
        return sorted(found, key=lambda one: (one.since_ms, one.id))

    def triggers(self, deployment: str) -> list[Trigger]:
        """What programs were asked to do with a deployment, each as it was said last, oldest first."""
        events = readable("triggers", self._all(f"triggers:{deployment}"), _decode_trigger).values()
        return sorted((event.data for event in events), key=lambda one: (one.at_ms, one.name, one.id))

    def workers(self) -> list[Heartbeat]:
        """The last heartbeat of each worker."""
        found = readable("heartbeats", self._all("workers"), _decode_heartbeat).values()
        return sorted(found, key=lambda heartbeat: (heartbeat.role, heartbeat.worker))

    def series(self, deployment: str) -> list[str]:
        """The names of the series that have, or had, base buckets."""
        return sorted(name for name, _ in self._all(f"series:{deployment}"))

    def buckets(self, deployment: str, series: str, since_ms: int, until_ms: int) -> list[tuple[int, bytes]]:
        """Start and stored value of the base buckets of a series that start in a range, in time order."""
        name = self._key(f"buckets:{deployment}|{series}")
        while True:
            starts = sorted(map(int, cast("list[bytes]", self._redis.hkeys(name))))
            wanted = [start_ms for start_ms in starts if since_ms <= start_ms < until_ms]
            if not wanted:
                return []
            values = cast("list[bytes | None]", self._redis.hmget(name, list(map(str, wanted))))
            found = [(start_ms, value) for start_ms, value in zip(wanted, values, strict=True) if value is not None]
            if len(found) == len(wanted):
                return found  # else some were just added up into a longer one

    def watermark(self, deployment: str) -> bytes | None:
        """The stored value of how far a deployment's event time has come."""
        return cast("bytes | None", self._redis.hget(self._key("watermarks"), deployment))

    def _all(self, name: str) -> Sequence[tuple[str, bytes]]:
        found = cast("dict[bytes, bytes]", self._redis.hgetall(self._key(name)))
        return [(field.decode(), value) for field, value in found.items()]

    def _key(self, name: str) -> str:
        return f"{self._prefix}:view:{name}"


def readable(what: str, rows: Iterable[tuple[str, bytes]], decode: Callable[[bytes], T]) -> dict[str, T]:
    """The rows that can be read, by field; others are logged and left out.

    A stranger's record, or one that only a newer version can read, must not take from everybody what else is known.

    >>> readable("numbers", [("a", b"1"), ("b", b"?")], msgspec.json.Decoder(int).decode)
    {'a': 1}
    """
    found: dict[str, T] = {}
    bad: dict[str, Exception] = {}
    for field, value in rows:
        try:
            found[field] = decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            bad[field] = error
    for field, why in islice(bad.items(), 1):
        log.warning("%s: %d cannot be read and are left out, such as %r: %s", what, len(bad), field, why)
    return found


def rows_of_deployments(name: str, values: Iterable[bytes | None], keys: Iterable[bytes | None]) -> list[Row]:
    """Where records belong that have a hash for each deployment. The key begins with the deployment's name.

    >>> rows_of_deployments("verdicts", [b"{}"], [b"churn|m1|m2|0"])
    [('verdicts:churn', 'churn|m1|m2|0', b'{}')]
    """
    return [(f"{name}:{field.split('|', 1)[0]}", field, value) for _, field, value in rows_of("", values, keys)]


def rows_of(name: str, values: Iterable[bytes | None], keys: Iterable[bytes | None]) -> list[Row]:
    """Where records of a keyed topic belong. One whose key is no text is somebody else's and belongs nowhere.

    >>> rows_of("alerts", [b"{}", b"?"], [b"a-1", bytes([255])])
    [('alerts', 'a-1', b'{}')]
    """
    fields = [_text(key) for key in keys]
    return [(name, field, value) for field, value in zip(fields, values, strict=True) if field is not None]


def rows_of_bucket(deployment: str, series: str, start_ms: int, value: bytes | None) -> list[Row]:
    """Where a base bucket belongs, and the series in its index.

    >>> rows_of_bucket("churn", "features|m1|", 0, None)
    [('buckets:churn|features|m1|', '0', None)]
    """
    bucket: Row = (f"buckets:{deployment}|{series}", str(start_ms), value)
    return [bucket] if value is None else [bucket, (f"series:{deployment}", series, b"1")]


def _text(key: bytes | None) -> str | None:
    try:
        return (key or b"").decode()
    except UnicodeDecodeError:
        return None
