"""A trigger book of one deployment over restarts, and the alerts and verdicts that it reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from monitors.alert_state import Adopted
from monitors.table import MemoryTable
from monitors.trigger_book import TriggerBook
from schemas.deployment import HOUR_MS, Deployment, Severity
from schemas.observation import Alert, AlertEvent, AlertPhase, Decision, Finding, Kind, Verdict
from schemas.trigger import Trigger, TriggerEvent, TriggerPhase, TriggerRule
from tests.unit.monitors.evaluator_scene import SETTINGS, Known, delta

ON_ALERT = TriggerRule("refit", alert="errors", cooldown="PT10H", train_on="P2D")
AGE_MS = 24 * HOUR_MS


def alert(
    phase: AlertPhase, number: int = 1, name: str = "errors", severity: Severity = Severity.WARNING
) -> AlertEvent:
    data = Alert(
        id=f"a{number}",
        deployment="churn",
        rule=name,
        metric="psi",
        feature=f"f{number}",
        segment="",
        model="m1",
        severity=severity,
        phase=phase,
        sequence=1,
        since_ms=0,
        changed_ms=0,
        limit=0.1,
        text=f"churn: {name} of f{number}.",
        alert=name,
    )
    return AlertEvent(f"a{number}-1", "/deployments/churn", "t", "s", "now", data)


FIRING, RESOLVED, RETRACTED = (
    AlertPhase.FIRING,
    AlertPhase.RESOLVED,
    AlertPhase.RETRACTED,
)


def verdict(
    finding: Finding = Finding.BETTER, until_hour: int = 5, *, retracted: bool = False, champion: str = "m1"
) -> Verdict:
    decision = Decision(finding, until_hour * HOUR_MS, 1_000, 0.02, 0.01)
    return Verdict(
        "churn",
        champion,
        "new",
        0,
        HOUR_MS,
        until_hour * HOUR_MS,
        "brier",
        Finding.UNDECIDED if retracted else finding,
        1_000,
        decision=decision,
        retracted=retracted,
    )


class Book:
    """A trigger book of one deployment that goes on over restarts."""

    def __init__(self, *rules: TriggerRule, champion: str = "m1", age_ms: int = AGE_MS) -> None:
        self.age_ms = age_ms
        self.table = MemoryTable()
        self.book = TriggerBook(self.table, "churn")
        self.known = Known(msgspec.structs.replace(SETTINGS, triggers=rules), champion)
        self.champions = Adopted(1, [(champion, 0)])
        self.said: list[TriggerEvent] = []

    @property
    def deployment(self) -> Deployment:
        found = self.known.deployment("churn")
        assert found is not None
        return found

    def at(
        self,
        hour: float,
        alerts: Sequence[AlertEvent] = (),
        verdicts: Sequence[Verdict] = (),
        *,
        tick_ms: int = 0,
        restart: bool = False,
    ) -> list[Trigger]:
        mark, resolved_ms = int(hour * HOUR_MS), int(hour * HOUR_MS) - self.age_ms
        found = list(self.book.evaluate(self.deployment, mark, tick_ms, resolved_ms, self.champions, alerts, verdicts))
        self.said += found
        if restart:
            self.restart()
        return [event.data for event in found]

    def label(self, rows: int, *, by: str = "m1", segment: str = "", hour: int = 0) -> None:
        self.book.add(delta(Kind.ACCURACY, hour * HOUR_MS, by=by, segment=segment, matched=rows), self.champions)

    def restart(self) -> None:
        self.book.flush()
        self.book = TriggerBook(self.table, "churn")

    def change(self, *rules: TriggerRule) -> None:
        self.known.change(triggers=rules)


def asked(found: Iterable[Trigger]) -> list[tuple[str, TriggerPhase]]:
    return [(one.name, one.phase) for one in found]


REQUESTED = [("refit", TriggerPhase.REQUESTED)]
TAKEN_BACK = [("refit", TriggerPhase.RETRACTED)]
