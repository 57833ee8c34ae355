"""Guardrails of alert rules: what could never fire, never end, or means nothing; each answers a sentence, or ""."""

from __future__ import annotations

import math
from collections.abc import Collection

from schemas.deployment import (
    CHANGE,
    CHANGE_CLEAR_WINDOWS,
    EARLIER,
    AlertRule,
    Compare,
    Control,
    DriftStatistic,
    Settings,
    Span,
)
from schemas.expectations import CUSTOM
from schemas.package import FeatureType
from scorers.checks import first_double

_DAYS = {Span.WEEK: 7, Span.MONTH: 31}
_DAYS_AGO = {Compare.DAY_AGO: 1, Compare.WEEK_AGO: 7, Compare.MONTH_AGO: 31}


def rules_fault(settings: Settings, types: dict[str, FeatureType]) -> str:
    """The first rule that cannot work."""
    rules = settings.alert_rules
    split = {*settings.segments, *map(str, settings.caller_segments)}
    if (double := first_double(rule.name for rule in rules)) is not None:
        return f"two alert rules have the name {double!r}"
    for rule in rules:
        fault = (
            _names_fault(rule, {one.name for one in settings.custom_metrics} if rule.metric == CUSTOM else types)
            or _segment_fault(rule, split)
            or (_change_fault(rule) if rule.metric == CHANGE else _window_fault(rule, settings))
        )
        if fault:
            return f"alert rule {rule.name!r}: {fault}"
    return ""


def _names_fault(rule: AlertRule, types: Collection[str]) -> str:
    if not rule.name or not rule.metric:
        return "a rule needs a name and a metric"
    if rule.feature not in {"", "*"} and rule.feature not in types:
        return f"{rule.feature} is not a {'custom metric' if rule.metric == CUSTOM else 'feature'} of the deployment"
    if not math.isfinite(rule.limit):
        return "the limit must be a finite number"
    if rule.cooldown < 0:
        return f"a cooldown of {rule.cooldown} windows can never be; it must be 0 or more"
    return ""


def _segment_fault(rule: AlertRule, split: Collection[str]) -> str:
    name, equals, _ = rule.segment.partition("=")
    if rule.segment in {"", "*"}:
        return "there are no segments; name some in the settings" if rule.segment and not split else ""
    if not equals:
        return f'{rule.segment!r} is no segment; write "plan=free", "*" for each, or nothing for all rows'
    return "" if name in split else f"metrics are not split by {name}; name it among the segments first"


def _window_fault(rule: AlertRule, settings: Settings) -> str:
    return _counting_fault(rule) or _compare_fault(rule, settings) or _roll_up_fault(rule)


def _roll_up_fault(rule: AlertRule) -> str:
    if not rule.roll_up:
        return ""
    if rule.metric.removeprefix("prediction_") not in set(DriftStatistic):
        return f"roll_up is for drift statistics, which {rule.metric} is not"
    fits = rule.compare in {Compare.ABSOLUTE, Compare.STATUS}
    return "" if fits else f"roll_up does not go with {rule.compare}, which compares windows of one length"


def _counting_fault(rule: AlertRule) -> str:
    if not 1 <= rule.windows <= rule.of:
        return f"{rule.windows} bad windows of the last {rule.of} can never be; windows must be 1 to `of`"
    if rule.clear_windows < 1 or rule.min_rows < 1:
        return "clear_windows and min_rows must be 1 or more"
    if rule.clear is not None and not (rule.clear <= rule.limit if rule.above else rule.clear >= rule.limit):
        return f"it is over at {rule.clear}, which is on the bad side of its limit {rule.limit}"
    return "" if rule.control is Control.BUDGET else f"{rule.control} is for rules on {CHANGE!r}"


def _compare_fault(rule: AlertRule, settings: Settings) -> str:
    days = min(_DAYS.get(span, 1) for span in (settings.drift_window, settings.accuracy_window))
    if days > _DAYS_AGO.get(rule.compare, days):
        return f"windows are longer than what {rule.compare} goes back"
    if not rule.ratio:
        return ""
    if rule.compare is not Compare.BASELINE and rule.compare not in EARLIER:
        return f"a ratio needs something to divide by; {rule.compare} has nothing"
    if rule.metric.removeprefix("prediction_") in set(DriftStatistic):
        return f"{rule.metric} may be below 0, as its noise is taken off; compare by difference"
    return "" if rule.limit > 0 else f"a ratio is never below 0; a limit of {rule.limit} means nothing"


def _change_fault(rule: AlertRule) -> str:
    if not rule.feature:
        return 'it watches features: name one, or "*"'
    if rule.segment == "*":
        return "what is kept small is kept small for a fixed number of features: name the segment"
    if rule.control is Control.BUDGET and rule.limit <= 0:
        return f"a budget of {rule.limit} false alerts a month can never be kept; it must be above 0"
    if rule.control is not Control.BUDGET and not 0 < rule.limit < 1:
        return f"the limit is a share of false findings, between 0 and 1; it is {rule.limit}"
    counting = rule.windows, rule.of, rule.min_rows, rule.clear
    if counting != (1, 1, 1, None) or rule.clear_windows not in {1, CHANGE_CLEAR_WINDOWS}:
        return "the change detector adds up evidence by itself; it has no windows, rows or clear level to set"
    if rule.compare is not Compare.ABSOLUTE or rule.ratio or rule.by_status or not rule.above:
        return "the change detector compares with the baseline and nothing else"
    return ""
