"""What earlier runs of the demo left behind, and its removal. Every run has a prefix of its own: `demo-` and its start.

Rules:
- Only what has exactly such a prefix is removed: topics, consumer groups, views, workers' state and logs; only on the
  local servers, and only while no other demo runs. Model archives stay: they are named by their content.
- A run is marked by a lock on a file that the kernel lets go when the process ends, however it ends.
- A run removes before it has anything of its own.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.views import Views

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from infra.settings import Settings

_OURS = re.compile(r"(demo-\d{8}-\d{6})(\.|$)")
_FOLDERS = ("state", "logs")
_TIMEOUT_S = 30


def prefix_at(moment: time.struct_time) -> str:
    """The prefix of a run that begins then (UTC).

    >>> prefix_at(time.gmtime(0))
    'demo-19700101-000000'
    """
    return time.strftime("demo-%Y%m%d-%H%M%S", moment)


@contextmanager
def marked(home: Path) -> Iterator[IO[str]]:
    """Mark a run in `home`, for as long as it takes."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "demo.lock").open("w") as mark:
        fcntl.flock(mark, fcntl.LOCK_SH)
        yield mark


def remove(settings: Settings, mark: IO[str]) -> list[str]:
    """Remove what is left of earlier runs; answers their prefixes. Nothing where another demo runs."""
    if settings.brokers or settings.redis_url:
        return []
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _remove(settings)
    except BlockingIOError:
        return []
    finally:
        fcntl.flock(mark, fcntl.LOCK_SH)


def _remove(settings: Settings) -> list[str]:
    admin = AdminClient(dict(settings.kafka_config()))
    topics = _ours(admin.list_topics(timeout=_TIMEOUT_S).topics)
    groups = _ours(one.group_id for one in admin.list_consumer_groups(request_timeout=_TIMEOUT_S).result().valid)
    folders = {
        path: found[1]
        for parent in _FOLDERS
        for path in sorted((settings.home / parent).glob("*"))
        if (found := _OURS.fullmatch(path.name))
    }
    prefixes = sorted({*topics.values(), *groups.values(), *folders.values()})
    for prefix in prefixes:  # the views first, as nothing else tells of them
        Views(settings.redis_address(), prefix).clear()
    for path in folders:
        shutil.rmtree(path)
    for answer in (admin.delete_consumer_groups(list(groups), request_timeout=_TIMEOUT_S) if groups else {}).values():
        with suppress(KafkaException):  # a worker that outlived its demo is still in it
            answer.result()
    for answer in (admin.delete_topics(list(topics), request_timeout=_TIMEOUT_S) if topics else {}).values():
        answer.result()
    return prefixes


def _ours(names: Iterable[str]) -> dict[str, str]:
    """Names that begin with the prefix of a run, and the prefix."""
    return {name: found[1] for name in names if (found := _OURS.match(name))}
