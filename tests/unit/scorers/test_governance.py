from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.deployment import (
    DAY_MS,
    Action,
    AlertRule,
    Audit,
    ChangeDetector,
    ChangeSettings,
    Command,
    CreateDeployment,
    Deployment,
    Limits,
    RegisterPackage,
    ReplaceModel,
    SetChallengers,
    Settings,
    Span,
    Thresholds,
)
from schemas.package import Baseline, Feature, FeatureType, Package, Target, TargetType
from scorers.governance import Decision, State, Tail, apply, decide, replay, verify_chain
from tests.unit.scorers import makers

ONE, TWO, THREE, ODD = ("1" * 64, "2" * 64, "3" * 64, "f" * 64)
PACKAGES = {
    ONE: makers.package(digest=ONE),
    TWO: makers.package("stronger", digest=TWO),
    THREE: makers.package("narrow", digest=THREE, features=makers.FEATURES[:1], baseline=Baseline()),
    ODD: makers.package("odd", digest=ODD, target=Target("late", TargetType.BINARY, classes=("yes", "no"))),
}


def command(entity: str, action: Action, id_: str = "1", by: str = "ana") -> Command:
    return Command(id_, entity, action, by, at_ms=1, reason="why not")


def settled(*actions: tuple[str, Action]) -> State:
    """The state after these commands, all of which must be accepted."""
    state = State(packages=PACKAGES)
    for entity, action in actions:
        decision = answer(state, entity, action)
        assert decision.audit.accepted, decision.audit.refusal
        state = apply(state, decision)
    return state


def answer(state: State, entity: str, action: Action) -> Decision:
    decision = decide(state, command(entity, action), now_ms=7, trusted=True, audit_tail=Tail(), seen=())
    assert decision is not None
    return decision


def refusal(state: State, entity: str, action: Action) -> str:
    decision = answer(state, entity, action)
    assert (decision.deployment, decision.package, decision.audit.accepted) == (None, None, False)
    assert decision.audit.before == decision.audit.after
    assert apply(state, decision) == state
    return decision.audit.refusal


def late(state: State) -> Deployment:
    return state.deployments["late"]


CREATED = ("late", CreateDeployment(ONE, (TWO,)))


def test_a_deployment_takes_features_and_target_from_its_champion() -> None:
    deployment = late(settled(CREATED))
    assert (deployment.features, deployment.target) == (makers.FEATURES, makers.LATE)
    assert (deployment.champion.digest, deployment.champion.name) == (ONE, "delays")
    assert [model.digest for model in deployment.challengers] == [TWO]
    assert (deployment.revision, deployment.created_ms, deployment.changed_ms) == (1, 7, 7)


def test_each_change_raises_the_revision_by_one_and_changes_nothing_else() -> None:
    before = late(settled(CREATED))
    settings = Settings(drift_window=Span.WEEK, segments=("carrier",))
    after = late(settled(CREATED, ("late", ChangeSettings(settings))))
    assert after == msgspec.structs.replace(before, revision=2, settings=settings)
    after = late(settled(CREATED, ("late", SetChallengers(()))))
    assert after == msgspec.structs.replace(before, revision=2, challengers=())


def test_a_challenger_that_becomes_champion_is_a_challenger_no_more() -> None:
    deployment = late(settled(CREATED, ("late", SetChallengers((THREE, TWO))), ("late", ReplaceModel(TWO))))
    assert deployment.champion.digest == TWO
    assert [model.digest for model in deployment.challengers] == [THREE]


def test_a_package_is_registered_once() -> None:
    decision = answer(State(), ONE, RegisterPackage(PACKAGES[ONE]))
    assert (decision.package, decision.audit.before, decision.audit.after) == (PACKAGES[ONE], 0, 1)
    assert "registered already" in refusal(apply(State(), decision), ONE, RegisterPackage(PACKAGES[ONE]))


@pytest.mark.parametrize(
    ("entity", "package", "words"),
    [
        ("delays", PACKAGES[ONE], "must be about its digest"),
        ("short", msgspec.structs.replace(PACKAGES[ONE], digest="short"), "SHA-256"),
        (ONE, msgspec.structs.replace(PACKAGES[ONE], format="pickle"), "'pickle' is not known"),
    ],
)
def test_a_package_with_a_fault_is_not_registered(entity: str, package: Package, words: str) -> None:
    assert words in refusal(State(), entity, RegisterPackage(package))


@pytest.mark.parametrize(
    ("entity", "action", "words"),
    [
        ("late", CreateDeployment(ONE), "exists already"),
        ("Late", CreateDeployment(ONE), "no name for a deployment"),
        ("-late", CreateDeployment(ONE), "no name for a deployment"),
        ("late\n", CreateDeployment(ONE), "no name for a deployment"),
        ("l" * 64, CreateDeployment(ONE), "no name for a deployment"),
        ("new", CreateDeployment("9" * 64), f"there is no package {'9' * 64}; register it first"),
        ("new", CreateDeployment(ONE, ("9" * 64,)), "register it first"),
        ("new", CreateDeployment(ONE, (ONE,)), "its own challenger"),
        ("new", CreateDeployment(ONE, (TWO, TWO)), "twice among the challengers"),
        ("new", CreateDeployment(ONE, (ODD,)), "has the classes yes, no, the deployment has no, yes"),
        ("new", CreateDeployment(THREE, (ONE,)), "needs the feature carrier"),
        ("other", ReplaceModel(TWO), "there is no deployment other; create it first"),
        ("late", ReplaceModel(ONE), "is the champion of late already"),
        ("late", ReplaceModel(ODD), "has the classes"),
        ("late", ReplaceModel("9" * 64), "register it first"),
        ("late", SetChallengers((ONE,)), "its own challenger"),
        ("late", SetChallengers((ODD,)), "has the classes"),
        ("late", SetChallengers(("9" * 64,)), "register it first"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(entity: str, action: Action, words: str) -> None:
    assert words in refusal(settled(CREATED), entity, action)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"target": Target("early", TargetType.BINARY, classes=("no", "yes"))}, "target early"),
        ({"target": Target("late", TargetType.MULTICLASS, classes=("no", "yes"))}, "target type multiclass"),
        ({"features": (Feature("age", FeatureType.TEXT, nullable=True),)}, "age as text"),
        ({"features": (Feature("age"),)}, "cannot take a missing age"),
    ],
)
def test_a_model_that_does_not_fit_the_requests_is_refused(changed: dict[str, object], words: str) -> None:
    package = msgspec.structs.replace(PACKAGES[TWO], digest="4" * 64, baseline=Baseline(), **changed)
    state = replace(settled(CREATED), packages={**PACKAGES, package.digest: package})
    assert words in refusal(state, "late", ReplaceModel(package.digest))


RULE = AlertRule("r", "psi", 0.2)
SHORT_AND_LATE = Settings(bucket=Span.MINUTE, drift_window=Span.MINUTE, grace_ms=7 * DAY_MS + 1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(grace_ms=-1), "grace_ms is -1"),
        (Settings(max_future_ms=-1), "max_future_ms"),
        (SHORT_AND_LATE, "grace_ms is 604800001; with drift_window minute it must be 604800000 or less"),
        (Settings(drift_window=Span.HOUR, grace_ms=90 * DAY_MS + 1), "with drift_window hour it must be 7776000000"),
        (Settings(horizon_ms=0), "horizon_ms"),
        (Settings(max_age_ms=-5), "max_age_ms"),
        (Settings(bucket=Span.MINUTE, horizon_ms=382 * DAY_MS), "with buckets of one minute it must be 33000000000"),
        (Settings(horizon_ms=63 * 365 * DAY_MS), "with buckets of one hour it must be 1980000000000"),
        (Settings(bucket=Span.DAY, drift_window=Span.HOUR), "drift_window (hour) is not made"),
        (Settings(bucket=Span.WEEK, drift_window=Span.WEEK, accuracy_window=Span.MONTH), "accuracy_window (month)"),
        (Settings(segments=("height",)), "height, which is not a feature"),
        (Settings(excluded=("height",)), "height, which is not a feature"),
        (Settings(starred=("height",)), "height, which is not a feature"),
        (Settings(starred=("age",), excluded=("age",)), "age is starred and excluded"),
        (Settings(segments=("carrier", "carrier")), "carrier twice"),
        (Settings(segments=("age",)), "age is numeric"),
        (Settings(thresholds=Thresholds(0.3, 0.2)), "must rise"),
        (Settings(thresholds=Thresholds(0.0, 0.2)), "must rise"),
        (Settings(thresholds=Thresholds(statistics={"kl": Limits(0.3, 0.2)})), "those of kl are 0.3 and 0.2"),
        (Settings(thresholds=Thresholds(features={"age": {"kl": Limits(0.3, 0.2)}})), "kl of age"),
        (Settings(thresholds=Thresholds(features={"height": {}})), "height, which is not a feature"),
        (Settings(thresholds=Thresholds(statistics={"emd": Limits(0.1, 0.2)})), "no drift statistic 'emd'; there are"),
        (Settings(thresholds=Thresholds(statistics={"chi_squared": Limits(1, 2)})), "chi_squared has no thresholds"),
        (Settings(drift_statistics=("psi", "ks")), "no drift statistic 'ks'; there are psi, jensen_shannon, kl"),
        (Settings(drift_statistics=("kl", "kl")), "kl twice"),
        (Settings(drift_statistics=("domain_auc",)), "no drift statistic 'domain_auc'"),
        (Settings(alert_rules=(RULE, RULE)), "two alert rules have the name 'r'"),
        (Settings(alert_rules=(AlertRule("r", "psi", 0.2, windows=3, of=2),)), "3 bad windows of the last 2"),
        (Settings(alert_rules=(AlertRule("r", "psi", 0.2, windows=0),)), "0 bad windows"),
        (Settings(alert_rules=(AlertRule("r", "psi", 0.2, feature="height"),)), "height is not a feature"),
        (Settings(alert_rules=(AlertRule("r", "psi", 0.2, clear=0.3),)), "bad side of its limit"),
        (Settings(alert_rules=(AlertRule("r", "auc", 0.7, above=False, clear=0.6),)), "bad side of its limit"),
        (Settings(alert_rules=(AlertRule("r", "psi", 0.2, min_rows=0),)), "min_rows"),
        (Settings(alert_rules=(AlertRule("", "psi", 0.2),)), "needs a name"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_creation_and_later(settings: Settings, words: str) -> None:
    assert words in refusal(settled(CREATED), "late", ChangeSettings(settings))
    assert words in refusal(settled(), "new", CreateDeployment(ONE, settings=settings))


def test_an_untrusted_command_is_refused_with_the_reason_and_the_way_out() -> None:
    decision = decide(
        State(), command(ONE, RegisterPackage(PACKAGES[ONE])), now_ms=1, trusted=False, audit_tail=Tail(), seen=()
    )
    assert decision is not None
    assert not decision.audit.accepted
    assert "signing of commands does not exist yet" in decision.audit.refusal
    assert "loopback" in decision.audit.refusal


def test_a_command_without_id_or_author_is_refused() -> None:
    for nameless in (
        command(ONE, RegisterPackage(PACKAGES[ONE]), by=""),
        command(ONE, RegisterPackage(PACKAGES[ONE]), ""),
    ):
        decision = decide(State(), nameless, now_ms=1, trusted=True, audit_tail=Tail(), seen=())
        assert decision is not None
        assert not decision.audit.accepted


digests = st.sampled_from([*PACKAGES, "9" * 64])
settings_ = st.sampled_from(
    [Settings(), Settings(grace_ms=5, alert_rules=(AlertRule("r", "psi", 1),)), Settings(grace_ms=-1)]
)
challengers_ = st.lists(digests, max_size=2).map(tuple)
deployment_actions = (
    st.builds(CreateDeployment, digests, challengers_, settings_)
    | st.builds(ChangeSettings, settings_)
    | st.builds(ReplaceModel, digests)
    | st.builds(SetChallengers, challengers_)
)
ids = st.integers(0, 30).map(str)
commands = st.lists(
    st.builds(command, st.sampled_from(["late", "churn", "Bad"]), deployment_actions, ids)
    | st.sampled_from(list(PACKAGES)).flatmap(
        lambda digest: ids.map(lambda id_: command(digest, RegisterPackage(PACKAGES[digest]), id_))
    ),
    max_size=40,
)


def run(given_: list[Command]) -> tuple[State, list[Audit]]:
    state, tail, audits = State(), Tail(), list[Audit]()
    for now_ms, one in enumerate(given_):
        seen = {audit.command.id for audit in audits}
        decision = decide(state, one, now_ms=now_ms, trusted=True, audit_tail=tail, seen=seen)
        if decision is None:
            assert one.id in seen
            continue
        after = apply(state, decision)
        audit = decision.audit
        assert (state.revision(one.entity), after.revision(one.entity)) == (audit.before, audit.after)
        assert audit.after == audit.before + audit.accepted
        assert audit.accepted or after == state
        state, tail = after, decision.tail
        audits.append(audit)
    return state, audits


@given(commands)
def test_any_commands_give_a_valid_chain_and_their_replay_the_same_state(given_: list[Command]) -> None:
    state, audits = run(given_)
    assert verify_chain(audits) is None
    wire = [msgspec.json.encode(audit) for audit in audits]
    assert verify_chain(wire) is None
    assert len({audit.command.id for audit in audits}) == len(audits)
    read = [msgspec.json.decode(line, type=Audit) for line in wire]
    replayed, tail, seen = replay(read)
    assert replayed == state
    assert tail == (Tail(audits[-1].sequence, audits[-1].hash) if audits else Tail())
    assert seen == {audit.command.id for audit in audits}
    assert run(given_) == (state, audits)


CHAIN = run([command(digest, RegisterPackage(package), digest) for digest, package in PACKAGES.items()])[1]


@given(st.integers(0, 3), st.sampled_from(["changed", "removed", "doubled", "rehashed", "junk"]))
def test_a_changed_removed_or_inserted_record_is_found_where_it_is(at: int, how: str) -> None:
    records: list[Audit | bytes] = list(CHAIN)
    changed = msgspec.structs.replace(CHAIN[at], at_ms=999)
    match how:
        case "changed":
            records[at] = changed
        case "removed":
            records.pop(at)
        case "doubled":
            records.insert(at, records[at])
        case "rehashed":  # a forger who recomputes one hash breaks the next link
            records[at : at + 1] = [msgspec.structs.replace(changed, hash="0" * 64)]
        case _:
            records[at] = b"{"
    expected = at + 2 if how == "doubled" else at + 1
    assert verify_chain(records) == (None if how == "removed" and at == len(CHAIN) - 1 else expected)


def test_the_chain_is_what_its_rule_says_and_holds_for_fields_that_this_version_does_not_know() -> None:
    previous, wire = "0" * 64, []
    for sequence in (1, 2, 3):
        record = {"sequence": sequence, "command": {"by": "Åsa", "limit": 1.5, "new": [1, None]}, "previous": previous}
        body = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        previous = hashlib.sha256((previous + body).encode()).hexdigest()
        wire.append(json.dumps({**record, "hash": previous}, indent=2).encode())
    assert verify_chain(wire) is None
    assert verify_chain([wire[0], wire[1].replace(b"1.5", b"1.6"), wire[2]]) == 2


def test_a_detector_that_can_read_nothing_of_many_classes_is_refused_and_not_left_out_in_silence() -> None:
    colours = makers.package(digest=ONE, target=Target("colour", TargetType.MULTICLASS, ("red", "green", "blue")))
    state, silent = State(packages={ONE: colours}), Settings(detectors=(ChangeDetector.KSWIN,))
    assert "needs continuous losses" in refusal(state, "paint", CreateDeployment(ONE, settings=silent))
    created = answer(state, "paint", CreateDeployment(ONE, settings=Settings(detectors=(ChangeDetector.ADWIN,))))
    assert created.audit.accepted, created.audit.refusal
    assert "needs continuous losses" in refusal(apply(state, created), "paint", ChangeSettings(silent))
    assert answer(State(packages=PACKAGES), "late", CreateDeployment(ONE, settings=silent)).audit.accepted


@pytest.mark.parametrize(
    "late_enough",
    [
        Settings(bucket=Span.MINUTE, drift_window=Span.MINUTE, grace_ms=7 * DAY_MS),
        Settings(bucket=Span.MINUTE, horizon_ms=381 * DAY_MS),
        Settings(drift_window=Span.HOUR, grace_ms=90 * DAY_MS),
        Settings(drift_window=Span.DAY, grace_ms=91 * DAY_MS),
    ],
)
def test_a_grace_within_which_no_bucket_ages_beyond_its_window_is_taken(late_enough: Settings) -> None:
    assert answer(settled(), "late", CreateDeployment(ONE, settings=late_enough)).audit.accepted


def test_a_grace_that_was_taken_before_it_was_refused_stays_when_the_log_is_read_again() -> None:
    registered = answer(State(), ONE, RegisterPackage(PACKAGES[ONE])).audit
    created = answer(settled(), "late", CreateDeployment(ONE)).audit
    of_old = command("late", CreateDeployment(ONE, settings=SHORT_AND_LATE), "2")
    state, *_ = replay([registered, msgspec.structs.replace(created, command=of_old)])
    assert late(state).settings == SHORT_AND_LATE
