"""The checker: everything that the workers left on the log and in Redis against the ledger and a clean fold."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, cast

import msgspec
import redis

from schemas.deployment import Audit, Deployment
from schemas.package import Package
from schemas.topics import Topic
from scorers.governance import replay, verify_chain
from streams.roles.projector import Projector, rows_of_topic
from tests.faults.accuracy import Answered, check_accuracy
from tests.faults.counts import check_counts
from tests.faults.findings import Findings
from tests.faults.fresh import Fresh, load
from tests.faults.horizon import GivenUp, Matched, check_horizon
from tests.faults.log import newest, partitions, read, read_all
from tests.faults.replayed import SAID, check_replay
from tests.faults.rows import check_answers, check_join, check_ledger, check_letters
from tests.faults.windows import check_buckets, check_metrics

if TYPE_CHECKING:
    from tests.faults.ledger import Ledger
    from tests.faults.scene import Scene

WRITES = {
    "scorer": (Topic.PREDICTIONS,),
    "shadow": (Topic.SHADOW_PREDICTIONS,),
    "joiner": (Topic.OUTCOMES, Topic.JOIN_CHANGELOG),
    "observer": (Topic.SUMMARIES,),
    "evaluator": (*SAID, Topic.WINDOWS_CHANGELOG),
    "governor": (Topic.AUDIT,),
}

_audit = msgspec.json.Decoder(Audit).decode


def check(scene: Scene, ledger: Ledger) -> Findings:
    """All checks, after the workers have ended."""
    findings = Findings()
    deployments, packages = _check_governance(scene, ledger, findings)
    fresh = Fresh(scene.connection, deployments, packages)
    seen: Counter[tuple[str, int]] = Counter()
    net: Matched = Counter()
    answered, given_up = Answered(), GivenUp()
    unreadable = actuals = 0
    for number in scene.connection.partitions(Topic.REQUESTS):
        partition = load(scene.connection, number, deployments)
        fresh.feed(partition)
        check_answers(scene, partition, findings, seen)
        check_join(scene, partition, fresh, findings, net)
        answered.add(partition)
        given_up.add(partition, ledger.ended_ms)
        unreadable += len(partition.requests.unreadable)
        actuals += partition.actuals.height
    findings.same("actuals on the log", actuals, ledger.actuals)
    check_ledger(scene, ledger, findings, seen, net)
    check_horizon([package.digest for package in scene.packages], ledger, net, given_up, findings)
    check_letters(scene, ledger, findings, unreadable)
    stored = check_buckets(scene, fresh, findings)
    check_counts(scene, ledger, net, stored, findings)
    check_accuracy(scene.packages, ledger, net, answered, stored, findings)
    check_metrics(scene, fresh, findings)
    check_replay(scene, fresh, findings)
    _check_views(scene, findings)
    return findings


def aborted(scene: Scene, *, sample: bool) -> dict[str, int]:
    """By role: records that were produced in transactions which never committed, so that no consumer may see them.

    `sample`: look at partition 0 of each topic only.
    """
    found = {}
    for role, topics in WRITES.items():
        places = [place for place in partitions(scene.connection, *topics) if not (sample and place[1])]
        every = read_all(scene.connection, places, committed=False)
        found[role] = sum(map(len, every.values())) - sum(map(len, read_all(scene.connection, places).values()))
    return found


def _check_governance(
    scene: Scene, ledger: Ledger, findings: Findings
) -> tuple[dict[str, Deployment], dict[str, Package]]:
    """The chain holds, each command was answered once, and what is deployed is what the chain says."""
    raw = read(scene.connection, Topic.AUDIT, 0).values
    findings.same("first broken record of the audit chain", verify_chain([value or b"" for value in raw]), None)
    audits = [_audit(value or b"") for value in raw]
    answered = Counter(audit.command.id for audit in audits)
    findings.none("commands answered twice", [key for key, count in answered.items() if count > 1])
    findings.none("commands not answered", [said.id for said in ledger.commands if said.id not in answered])
    findings.numbers["audit records"] += len(audits)
    state, _, _ = replay(audits)
    for topic, expected in ((Topic.DEPLOYMENTS, state.deployments), (Topic.PACKAGES, state.packages)):
        kept = newest(read(scene.connection, topic, 0))
        wanted = {name.encode(): msgspec.json.encode(value) for name, value in expected.items()}
        findings.same_rows(topic.value, kept, wanted)
    return dict(state.deployments), dict(state.packages)


def _check_views(scene: Scene, findings: Findings) -> None:
    """Redis holds what the newest record of each key comes to, and nothing else; heartbeats go on and are left out."""
    connection, expected = scene.connection, dict[tuple[str, str], bytes]()
    for topic in Projector.inputs:
        if topic is Topic.HEARTBEATS:
            continue
        for records in read_all(connection, partitions(connection, topic)).values():
            for name, field, value in rows_of_topic(topic, records):
                if value is None:
                    expected.pop((name, field), None)
                else:
                    expected[name, field] = value
    mark = f"{scene.prefix}:view:"
    found: dict[tuple[str, str], bytes] = {}
    with redis.Redis.from_url(scene.settings.redis_address()) as client:
        for key in client.scan_iter(match=f"{mark}*", count=1_000, _type="hash"):
            name = key.decode().removeprefix(mark)
            if name != "workers":
                rows = cast("dict[bytes, bytes]", client.hgetall(key))
                found |= {(name, field.decode()): value for field, value in rows.items()}
    for view in sorted({name.split(":")[0] for name, _ in expected.keys() | found.keys()}):
        ours = {place: value for place, value in found.items() if place[0].split(":")[0] == view}
        wanted = {place: value for place, value in expected.items() if place[0].split(":")[0] == view}
        findings.same_rows(f"view of {view}", ours, wanted)
