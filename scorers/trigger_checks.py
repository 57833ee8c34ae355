"""Guardrails of trigger rules: each answers a sentence, or ""."""

from __future__ import annotations

from collections.abc import Collection

from schemas.deployment import Settings
from schemas.iso_duration import duration_ms
from schemas.trigger import TriggerRule
from scorers.checks import first_double

_SHORTEST_MS = 60_000


def triggers_fault(settings: Settings) -> str:
    r"""The first rule that could never trigger, or would not know when.

    >>> triggers_fault(Settings(triggers=(TriggerRule("monthly", every="P1M"),)))
    'trigger \'monthly\': every: \'P1M\' is no duration of a fixed length, such as "PT1H", "P1D" or "P2W"'
    """
    if (double := first_double(rule.name for rule in settings.triggers)) is not None:
        return f"two triggers have the name {double!r}"
    alerts = {rule.alert_name for rule in settings.alert_rules}
    for rule in settings.triggers:
        if fault := _cause_fault(rule, alerts) or _times_fault(rule):
            return f"trigger {rule.name!r}: {fault}"
    return ""


def _cause_fault(rule: TriggerRule, alerts: Collection[str]) -> str:
    if not rule.name:
        return "a trigger needs a name"
    causes = {"alert": rule.alert, "every": rule.every, "new_labels": rule.new_labels, "verdict": rule.verdict}
    given = [name for name, value in causes.items() if value]
    if rule.new_labels < 0:
        return f"new_labels is {rule.new_labels}; it must be 1 or more"
    if len(given) != 1:
        said = f"it waits for {' and '.join(given)}" if given else "it waits for nothing"
        return f"{said}; give one of {', '.join(causes)}"
    if rule.alert and rule.alert not in alerts:
        return f"no alert rule makes an alert {rule.alert}; there are: {', '.join(sorted(alerts)) or 'none'}"
    return ""


def _times_fault(rule: TriggerRule) -> str:
    for name, text in (("every", rule.every), ("cooldown", rule.cooldown), ("train_on", rule.train_on)):
        if not text and name != "train_on":
            continue
        try:
            length_ms = duration_ms(text)
        except ValueError as error:
            return f"{name}: {error}"
        if length_ms < _SHORTEST_MS:
            return f"{name} is {text}; it must be a minute or more"
    return ""
