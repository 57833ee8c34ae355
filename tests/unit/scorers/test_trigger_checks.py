"""Triggers that could never be, or at no time that anybody could tell, are refused with a sentence."""

from __future__ import annotations

import msgspec
import pytest

from schemas.deployment import Settings
from schemas.package import Feature
from schemas.trigger import Sought, TriggerAction, TriggerRule
from scorers.guardrails import settings_fault

DAILY = TriggerRule("daily", every="P1D")


@pytest.mark.parametrize(
    ("triggers", "says"),
    [
        ((DAILY, DAILY), "two triggers have the name 'daily'"),
        ((TriggerRule("", every="P1D"),), "needs a name"),
        ((TriggerRule("t"),), "waits for nothing; give one of alert, every, new_labels, verdict"),
        ((TriggerRule("t", alert="drift", verdict=Sought.WORSE),), "waits for alert and verdict"),
        ((TriggerRule("t", alert="drifft"),), "no alert rule makes an alert drifft; there are: drift"),
        ((TriggerRule("t", new_labels=-1),), "new_labels is -1"),
        ((TriggerRule("t", every="P1M"),), "trigger 't': every: 'P1M' is no duration of a fixed length"),
        ((TriggerRule("t", every="PT5S"),), "every is PT5S; it must be a minute or more"),
        ((TriggerRule("t", every="P1D", cooldown="1d"),), "cooldown: '1d' is no duration"),
        ((TriggerRule("t", every="P1D", train_on=""),), "train_on: '' is no duration"),
    ],
)
def test_what_cannot_be_is_refused(triggers: tuple[TriggerRule, ...], says: str) -> None:
    assert says in settings_fault(Settings(triggers=triggers), [Feature("age")])


def test_what_can_be_is_not_refused_and_survives_the_wire() -> None:
    settings = Settings(
        triggers=(
            TriggerRule("on-drift", alert="drift", cooldown="P7D", train_on="P90D"),
            DAILY,
            TriggerRule("labels", new_labels=1_000, resolved=False),
            TriggerRule("back", TriggerAction.ROLLBACK, verdict=Sought.WORSE),
        )
    )
    assert not settings_fault(settings, [Feature("age")])
    assert msgspec.json.decode(msgspec.json.encode(settings), type=Settings) == settings


def test_settings_of_before_have_no_triggers() -> None:
    assert msgspec.json.decode(b'{"bucket": "hour"}', type=Settings).triggers == ()
