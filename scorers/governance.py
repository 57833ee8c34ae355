"""Governance: what a command does to packages and deployments, and the record of it that nobody can change unnoticed.

Rules:

- a command is accepted whole or refused whole; a refusal is a sentence for a person, and changes nothing;
- the same command id is answered once, whatever comes with it;
- each accepted command of an entity raises its revision by one, from 1 on (a package is registered once, for ever);
- every answer is an `Audit` with the hash of the one before, so that a changed, removed or inserted record shows;
- state is what the accepted commands make of nothing: `replay` of the audit log gives it again, at any past time.

Guardrails may become stricter from version to version; a replay asks them nothing, what was accepted stays accepted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from schemas.deployment import (
    AcknowledgeAlert,
    Acknowledgement,
    Audit,
    ChangeSettings,
    Command,
    CreateDeployment,
    Deployment,
    Model,
    RegisterPackage,
    ReplaceModel,
    SetChallengers,
    Settings,
)
from schemas.package import Package
from schemas.strict import KnownOnly
from scorers.checks import fault_of
from scorers.expectation_checks import detectors_fault
from scorers.fairness_checks import favourable_fault
from scorers.guardrails import alert_fault, fit_fault, models_fault, name_fault, settings_fault

ACKNOWLEDGED = 100  # that a deployment carries; the audit log keeps them all
_commands = KnownOnly(Command)
UNTRUSTED = (
    "the command is not trusted: signing of commands does not exist yet,"
    " so that commands are accepted on a broker on loopback only"
)


@dataclass(frozen=True, slots=True)
class State:
    """All that governance rules over: packages by digest, deployments by name."""

    packages: Mapping[str, Package] = field(default_factory=dict)
    deployments: Mapping[str, Deployment] = field(default_factory=dict)

    def revision(self, entity: str) -> int:
        """The revision of a deployment, 1 for a package, 0 for what does not exist."""
        deployment = self.deployments.get(entity)
        return deployment.revision if deployment else int(entity in self.packages)


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of the audit log."""

    sequence: int = 0
    hash: str = "0" * 64


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a command: the record of it, and what is new (neither of the two for a refusal)."""

    audit: Audit
    deployment: Deployment | None = None
    package: Package | None = None

    @property
    def tail(self) -> Tail:
        """The end of the log once this decision is on it."""
        return Tail(self.audit.sequence, self.audit.hash)


def decide(
    state: State,
    command: Command,
    *,
    now_ms: int,
    trusted: bool,
    audit_tail: Tail,
    seen: Container[str],
    strange: str = "",
) -> Decision | None:
    """Answer a command; None where its id was answered before (`seen`: the ids of all earlier commands).

    `trusted`: whether unsigned commands count, that is, whether the broker is on loopback. `strange`: what `written`
    found in it that is not known, for which it is refused: a typing error, or a setting that only a newer version has.
    """
    if command.id in seen:
        return None
    if not trusted:
        refusal = UNTRUSTED
    else:
        refusal = (
            f"{strange} (or the sender is of a newer version than this governor)"
            if strange
            else _refusal(state, command)
        )
    deployment, package = (None, None) if refusal else _effect(state, command, now_ms)
    before = state.revision(command.entity)
    audit = Audit(
        sequence=audit_tail.sequence + 1,
        command=command,
        accepted=not refusal,
        refusal=refusal,
        before=before,
        after=before if refusal else before + 1,
        at_ms=now_ms,
        previous=audit_tail.hash,
        hash="",
    )
    return Decision(_sealed(audit), deployment, package)


def written(body: bytes) -> tuple[Command, str]:
    """A command as it was sent, and what in it is not known; msgspec.MsgspecError where it is none."""
    return _commands.read(body)


def apply(state: State, decision: Decision) -> State:
    """The state after a decision."""
    return _with(state, decision.deployment, decision.package)


def advance(state: State, audit: Audit) -> State:
    """The state after one more record of the log."""
    return _with(state, *_effect(state, audit.command, audit.at_ms)) if audit.accepted else state


def replay(audits: Iterable[Audit]) -> tuple[State, Tail, set[str]]:
    """State, end of the log and answered ids after these records, from the first on."""
    state, tail, seen = State(), Tail(), set[str]()
    for audit in audits:
        state = advance(state, audit)
        tail = Tail(audit.sequence, audit.hash)
        seen.add(audit.command.id)
    return state, tail, seen


def verify_chain(records: Iterable[Audit | bytes]) -> int | None:
    """The first sequence at which the log is not what was written, None where all is well.

    Give the records as read from the log, as JSON: a later version may read more fields from the same bytes, and an
    `Audit` is hashed as this version knows it. A cut-off end does not show in the chain; for that, keep the last hash.
    """
    tail = Tail()
    for record in records:
        body = msgspec.to_builtins(record) if isinstance(record, Audit) else _object(record)
        expected = tail.sequence + 1
        if (body.get("sequence"), body.get("previous"), body.get("hash")) != (expected, tail.hash, _hash(body)):
            return expected
        tail = Tail(expected, body["hash"])
    return None


def _sealed(audit: Audit) -> Audit:
    """With its hash, and as it will be read back (1 given for a float is 1.0 there, which hashes otherwise)."""
    read = msgspec.json.decode(msgspec.json.encode(audit), type=Audit)
    return msgspec.structs.replace(read, hash=_hash(msgspec.to_builtins(read)))


def _object(record: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(record, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}


def _hash(body: Mapping[str, Any]) -> str:
    """SHA-256 over the previous hash and the record without its own, as JSON with sorted keys."""
    rest = {name: value for name, value in body.items() if name != "hash"}
    return hashlib.sha256(str(body.get("previous")).encode() + msgspec.json.encode(rest, order="sorted")).hexdigest()


def _with(state: State, deployment: Deployment | None, package: Package | None) -> State:
    return State(
        {**state.packages, package.digest: package} if package else state.packages,
        {**state.deployments, deployment.name: deployment} if deployment else state.deployments,
    )


def _refusal(state: State, command: Command) -> str:
    """Why a command is refused; "" where it is not."""
    action, entity = command.action, command.entity
    if not command.id or not command.by:
        return "a command needs an id and the name of who gives it"
    if isinstance(action, RegisterPackage):
        return _registration_fault(state, entity, action.package)
    deployment = state.deployments.get(entity)
    if isinstance(action, CreateDeployment):
        if deployment:
            return f"the deployment {entity} exists already; change it, or create one under another name"
        return name_fault(entity) or _creation_fault(state, action)
    if deployment is None:
        return f"there is no deployment {entity}; create it first"
    return _change_fault(state, deployment, action)


def _change_fault(
    state: State,
    deployment: Deployment,
    action: ChangeSettings | ReplaceModel | SetChallengers | AcknowledgeAlert,
) -> str:
    match action:
        case ChangeSettings(settings):
            return (
                settings_fault(settings, deployment.features)
                or favourable_fault(settings, deployment.target)
                or detectors_fault(settings, deployment.target)
                or _bucket_fault(deployment, settings)
            )
        case SetChallengers(challengers):
            return models_fault(deployment.champion.digest, challengers) or _fits(state, deployment, challengers)
        case ReplaceModel(champion):
            if champion == deployment.champion.digest:
                return f"package {champion} is the champion of {deployment.name} already"
            return _fits(state, deployment, (champion,))
        case AcknowledgeAlert(alert):
            return alert_fault(alert)


def _bucket_fault(deployment: Deployment, settings: Settings) -> str:
    kept = deployment.settings.bucket
    return "" if settings.bucket is kept else f"the bucket is {kept} for good: the past is counted in it"


def _registration_fault(state: State, entity: str, package: Package) -> str:
    digest = package.digest
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):  # noqa: PLR2004 - hex digits of SHA-256
        return f"{digest!r} is not the digest of a package: it must be the SHA-256 of the archive, in hex"
    if entity != digest:
        return f"the command is about {entity!r}; to register a package, it must be about its digest {digest}"
    if digest in state.packages:
        return f"package {digest} is registered already"
    return fault_of(package)


def _creation_fault(state: State, action: CreateDeployment) -> str:
    if fault := _unknown(state, (action.champion, *action.challengers)):
        return fault
    champion = state.packages[action.champion]
    if fault := models_fault(action.champion, action.challengers) or settings_fault(action.settings, champion.features):
        return fault
    target, settings = champion.target, action.settings
    if fault := favourable_fault(settings, target) or detectors_fault(settings, target):
        return fault
    challengers = (state.packages[digest] for digest in action.challengers)
    return next(filter(None, (fit_fault(one, champion.target, champion.features) for one in challengers)), "")


def _fits(state: State, deployment: Deployment, digests: tuple[str, ...]) -> str:
    if fault := _unknown(state, digests):
        return fault
    packages = (state.packages[digest] for digest in digests)
    return next(filter(None, (fit_fault(one, deployment.target, deployment.features) for one in packages)), "")


def _unknown(state: State, digests: tuple[str, ...]) -> str:
    absent = next((digest for digest in digests if digest not in state.packages), None)
    return "" if absent is None else f"there is no package {absent}; register it first"


def _effect(state: State, command: Command, now_ms: int) -> tuple[Deployment | None, Package | None]:
    """What an accepted command makes."""
    match command.action:
        case RegisterPackage(package):
            return None, package
        case CreateDeployment(champion, challengers, settings):
            package = state.packages[champion]
            deployment = Deployment(
                name=command.entity,
                revision=1,
                target=package.target,
                features=package.features,
                champion=_model(package),
                challengers=tuple(_model(state.packages[digest]) for digest in challengers),
                settings=settings,
                created_ms=now_ms,
                changed_ms=now_ms,
            )
            return deployment, None
        case action:
            old = state.deployments[command.entity]
            return msgspec.structs.replace(
                old, revision=old.revision + 1, changed_ms=now_ms, **_change(state, old, command, action)
            ), None


def _change(
    state: State,
    old: Deployment,
    command: Command,
    action: ChangeSettings | ReplaceModel | SetChallengers | AcknowledgeAlert,
) -> dict[str, Any]:
    match action:
        case ChangeSettings(settings):
            return {"settings": settings}
        case SetChallengers(challengers):
            return {"challengers": tuple(_model(state.packages[digest]) for digest in challengers)}
        case ReplaceModel(champion):  # a challenger that won is no challenger any more
            others = tuple(model for model in old.challengers if model.digest != champion)
            return {"champion": _model(state.packages[champion]), "challengers": others}
        case AcknowledgeAlert(alert):
            given = Acknowledgement(alert, command.by, command.at_ms, old.revision + 1, command.reason)
            earlier = [each for each in old.acknowledged if each.alert != alert]
            return {"acknowledged": (*earlier, given)[-ACKNOWLEDGED:]}


def _model(package: Package) -> Model:
    return Model(package.digest, package.name, package.version)
