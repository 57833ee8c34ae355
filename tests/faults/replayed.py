"""What evaluators said and hold, against their own role that reads the recorded `summaries` once more."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from confluent_kafka import TopicPartition

from schemas.deployment import Switch
from schemas.topics import Topic
from streams.catalog import History
from streams.replay import FixedCatalog, RecordedSwitches, at_switches, batches, memory_table, rows_of, run
from streams.roles.evaluator import EvaluatorRole
from tests.faults.log import histories, newest, partitions, read, read_all

if TYPE_CHECKING:
    from schemas.records import Records
    from tests.faults.findings import Findings
    from tests.faults.fresh import Fresh
    from tests.faults.scene import Scene

SAID = (Topic.METRICS, Topic.VERDICTS, Topic.DETECTIONS, Topic.DIAGNOSES, Topic.ALERTS, Topic.TRIGGERS)

_switch = msgspec.json.Decoder(Switch).decode


def check_replay(scene: Scene, fresh: Fresh, findings: Findings) -> None:
    """A clean evaluator over the recorded `summaries` has the same table, and said the same, in the same order.

    Its own role, as it runs: whatever it keeps or says besides windows, metrics and alerts is compared, too.
    """
    connection = scene.connection
    switches = [_switch(value or b"") for value in read(connection, Topic.SWITCHES, 0).values]
    log = _worked_off(scene)
    catalog = FixedCatalog((), fresh.packages.values())
    recorded = RecordedSwitches(EvaluatorRole.name, switches)
    cut = at_switches(batches(log, ()), catalog, History(connection), recorded, Topic.SUMMARIES)
    table = memory_table(Topic.WINDOWS_CHANGELOG, Topic.SUMMARIES, connection.partitions(Topic.SUMMARIES))
    said: dict[Topic, dict[bytes, list[bytes]]] = {topic: defaultdict(list) for topic in SAID}
    for send in run(EvaluatorRole(catalog, table), cut, table):
        if send.topic is not Topic.SWITCHES:
            for key, value in zip(send.keys, send.values, strict=True):
                said[send.topic][key or b""].append(value or b"")
    for topic in SAID:
        findings.same_rows(f"histories of {topic}", histories(connection, topic), said[topic])
        findings.numbers[f"records of {topic}"] += sum(map(len, said[topic].values()))
    findings.none("topics on which nothing was said", [topic for topic in SAID if not said[topic]])
    kept = read_all(connection, partitions(connection, Topic.WINDOWS_CHANGELOG))
    stored = {(number, key): value for (_, number), found in kept.items() for key, value in newest(found).items()}
    findings.same_rows("rows of the evaluator", stored, rows_of(table))


def _worked_off(scene: Scene) -> dict[tuple[Topic, int], Records]:
    """The part of `summaries` that the evaluators have committed: an observer ends later than they do."""
    connection = scene.connection
    log = read_all(connection, partitions(connection, Topic.SUMMARIES))
    group = connection.consumer(connection.group(EvaluatorRole.name))
    try:
        asked = [TopicPartition(connection.layout.name(topic), number) for topic, number in log]
        committed = {place.partition: place.offset for place in group.committed(asked, 20)}
    finally:
        group.close()
    return {place: found.take(np.flatnonzero(found.offsets < committed[place[1]])) for place, found in log.items()}
