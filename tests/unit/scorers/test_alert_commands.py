from __future__ import annotations

import msgspec
import pytest

from schemas.deployment import (
    CHANGE_DETECTED,
    DEFAULT_RULES,
    AcknowledgeAlert,
    AlertRule,
    Command,
    Compare,
    Control,
    CreateDeployment,
    Settings,
    Span,
)
from schemas.package import FeatureType
from scorers.governance import ACKNOWLEDGED, Decision, State, Tail, apply, decide
from scorers.rule_checks import rules_fault
from tests.unit.scorers import makers

ONE = "1" * 64
TYPES = {"hour": FeatureType.NUMERIC, "carrier": FeatureType.CATEGORICAL}
SPLIT = Settings(segments=("carrier",))
LATENCY = AlertRule("r", "response_ms_p99", 1.5, compare=Compare.WEEK_AGO, ratio=True)


def answer(
    state: State, action: AcknowledgeAlert | CreateDeployment, number: int = 1, entity: str = "late"
) -> Decision:
    command = Command(str(number), entity, action, "ana", at_ms=number, reason="rolling back")
    decision = decide(state, command, now_ms=7, trusted=True, audit_tail=Tail(), seen=())
    assert decision is not None
    return decision


def created() -> State:
    state = State(packages={ONE: makers.package(digest=ONE)})
    return apply(state, answer(state, CreateDeployment(ONE)))


def alert(number: int) -> str:
    return f"{number:032x}"


def test_an_acknowledgement_travels_with_the_deployment_and_says_by_whom() -> None:
    state = created()
    deployment = apply(state, answer(state, AcknowledgeAlert(alert(5)), 9)).deployments["late"]
    (given,) = deployment.acknowledged
    assert (given.alert, given.by, given.at_ms, given.reason) == (alert(5), "ana", 9, "rolling back")
    assert given.revision == deployment.revision == 2


def test_it_changes_nothing_else_of_the_deployment() -> None:
    before = created()
    after = apply(before, answer(before, AcknowledgeAlert(alert(5)))).deployments["late"]
    plain = msgspec.structs.replace(
        after, revision=1, acknowledged=(), changed_ms=before.deployments["late"].changed_ms
    )
    assert plain == before.deployments["late"]


def test_a_deployment_carries_the_newest_acknowledgements_only_and_each_alert_once() -> None:
    state = created()
    for number in (*range(ACKNOWLEDGED + 5), ACKNOWLEDGED + 4):
        state = apply(state, answer(state, AcknowledgeAlert(alert(number))))
    found = [each.alert for each in state.deployments["late"].acknowledged]
    assert found == [alert(number) for number in range(5, ACKNOWLEDGED + 5)]


@pytest.mark.parametrize("name", ["", "abc", "g" * 32, "A" * 32, "0" * 33])
def test_what_is_no_id_of_an_alert_is_refused(name: str) -> None:
    state = created()
    assert "is not the id of an alert" in answer(state, AcknowledgeAlert(name)).audit.refusal


def test_an_alert_of_no_deployment_is_refused() -> None:
    assert "there is no deployment" in answer(created(), AcknowledgeAlert(alert(1)), entity="early").audit.refusal


@pytest.mark.parametrize(
    "rules",
    [
        DEFAULT_RULES,
        (LATENCY,),
        (msgspec.structs.replace(CHANGE_DETECTED, segment="carrier=AA"),),
        (AlertRule("r", "change", 0.05, feature="hour", control=Control.E_LOND),),
        (AlertRule("r", "psi", 0.2, feature="*", segment="*", compare=Compare.PREVIOUS, cooldown=3),),
    ],
)
def test_rules_that_can_work_are_accepted(rules: tuple[AlertRule, ...]) -> None:
    assert rules_fault(msgspec.structs.replace(SPLIT, alert_rules=rules), TYPES) == ""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"segment": "plan"}, "is no segment"),
        ({"segment": "plan=free"}, "not split by plan"),
        ({"cooldown": -1}, "cooldown"),
        ({"control": Control.E_LOND}, "is for rules on 'change'"),
        ({"compare": Compare.ABSOLUTE}, "something to divide by"),
        ({"limit": -1.0}, "never below 0"),
        ({"metric": "psi"}, "may be below 0"),
        ({"metric": "prediction_psi"}, "may be below 0"),
    ],
)
def test_a_rule_that_means_nothing_is_refused_with_a_sentence(change: dict[str, object], sentence: str) -> None:
    rule = msgspec.structs.replace(LATENCY, **change)
    assert sentence in rules_fault(msgspec.structs.replace(SPLIT, alert_rules=(rule,)), TYPES)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"feature": ""}, "watches features"),
        ({"segment": "*"}, "name the segment"),
        ({"limit": 0.0}, "budget of 0.0"),
        ({"control": Control.BENJAMINI_HOCHBERG}, "between 0 and 1"),
        ({"of": 3}, "adds up evidence by itself"),
        ({"clear_windows": 2}, "adds up evidence by itself"),
        ({"compare": Compare.PREVIOUS}, "nothing else"),
        ({"by_status": True}, "nothing else"),
    ],
)
def test_a_change_rule_that_means_nothing_is_refused_with_a_sentence(change: dict[str, object], sentence: str) -> None:
    rule = msgspec.structs.replace(CHANGE_DETECTED, **change)
    assert sentence in rules_fault(msgspec.structs.replace(SPLIT, alert_rules=(rule,)), TYPES)


def test_windows_longer_than_what_a_rule_goes_back_are_refused() -> None:
    rule = AlertRule("r", "log_loss", 0.1, compare=Compare.DAY_AGO)
    settings = Settings(drift_window=Span.WEEK, accuracy_window=Span.MONTH, alert_rules=(rule,))
    assert "windows are longer" in rules_fault(settings, TYPES)


def test_segments_are_refused_where_there_are_none() -> None:
    rule = AlertRule("r", "log_loss", 0.1, segment="*")
    assert "there are no segments" in rules_fault(Settings(alert_rules=(rule,)), TYPES)
