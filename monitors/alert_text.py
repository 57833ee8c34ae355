"""What an alert says to a person, in one sentence: what, how much, since when."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from monitors.alerts import CLEAR_SHARE, Path, Step, clear_level
from schemas.deployment import CHANGE, CHANGE_CLEAR_WINDOWS, Acknowledgement, Compare
from schemas.observation import AlertPhase

if TYPE_CHECKING:
    from monitors.alert_events import AlertKey
    from monitors.alerts import Point

_AGAINST = {
    Compare.BASELINE: "the baseline",
    Compare.PREVIOUS: "the window before",
    Compare.DAY_AGO: "the same window a day ago",
    Compare.WEEK_AGO: "the same window a week ago",
    Compare.MONTH_AGO: "the same window a month ago",
    Compare.YEAR_AGO: "the same window a year ago",
}


def phase_text(
    deployment: str, key: AlertKey, phase: AlertPhase, step: Step | None, *, since_ms: int, late: bool
) -> str:
    """What a phase means; `step` is what led to it."""
    if phase is AlertPhase.RETRACTED:
        return f"{_plain(deployment, key)}: retracted, later data changed the windows that this alert rested on."
    if step is None or step.at.value is None:
        return f"{_plain(deployment, key)}: {phase.value}."
    subject = f"{deployment}: {step.rule.metric}{_where(key)} ({step.rule.name})"
    found = " Found late, by a correction or late rows." if late else ""
    told = _change(phase, step, since_ms) if step.rule.metric == CHANGE else _windows(phase, step)
    return f"{subject}: {told}{found}"


def withdrawn_text(deployment: str, key: AlertKey) -> str:
    """An alert is over by a command."""
    return f"{_plain(deployment, key)}: over, because the rule was changed or removed."


def acknowledged_text(deployment: str, key: AlertKey, given: Acknowledgement) -> str:
    """Somebody has taken note."""
    why = f": {given.reason}" if given.reason else ""
    return f"{_plain(deployment, key)}: acknowledged by {given.by} at {rfc3339(given.at_ms)}{why}."


def _change(phase: AlertPhase, step: Step, since_ms: int) -> str:
    odds = math.exp(min(step.at.value or 0.0, 700.0))
    at = f"in the bucket from {rfc3339(step.at.start_ms)} ({step.at.n:,} rows)"
    if phase is AlertPhase.RESOLVED:
        return f"recovered, the last {CHANGE_CLEAR_WINDOWS} buckets are like training again; {at}."
    needed = math.exp(min(step.level, 700.0))
    since = f"the values are not those of training since about {rfc3339(since_ms)}"
    return f"{since}; evidence {odds:,.3g} to 1 {at}, fires at {needed:,.3g}."


def _windows(phase: AlertPhase, step: Step) -> str:
    rule, at = step.rule, step.at
    against = f" against {_AGAINST[rule.compare]}" if rule.compare in _AGAINST else ""
    unit = " times" if rule.ratio else ""
    compared = f", {at.reference:.4g} there" if at.reference is not None and rule.compare in _AGAINST else ""
    now = f"{at.value:.4g} in the window from {rfc3339(at.start_ms)} ({at.n:,} rows{compared})"
    if phase is AlertPhase.RESOLVED and step.path is Path.LAPSED:
        return f"{now}, the limit was passed but not often enough to fire."
    if phase is AlertPhase.RESOLVED:
        level = f"{'below' if rule.above else 'above'} {clear_level(rule):.4g}{unit}{against}"
        level = _passing(at) if rule.compare is Compare.STATUS else level
        return f"recovered, {level} in {rule.clear_windows} window(s) in a row; {now}."
    side = f"{'above' if rule.above else 'below'} {rule.limit:.4g}{unit}{against}"
    side = _at_risk(at) if rule.compare is Compare.STATUS else side
    often = f"in {len(step.windows)} of the last {rule.of} window(s), fires at {rule.windows}"
    return f"{side} {often}; {now}."


def _passing(at: Point) -> str:
    return "surely passing" if at.at_risk is None else f"below {CLEAR_SHARE * at.at_risk:.4g}"


def _at_risk(at: Point) -> str:
    return "surely at risk" if at.at_risk is None else f"surely at risk, above {at.at_risk:.4g},"


def _plain(deployment: str, key: AlertKey) -> str:
    return f"{deployment}: {key.alert}{_where(key)}"


def _where(key: AlertKey) -> str:
    of_feature = f" of {key.feature}" if key.feature else ""
    return f"{of_feature} where {key.segment}" if key.segment else of_feature


def rfc3339(time_ms: int) -> str:
    """An instant as RFC 3339 in UTC.

    >>> rfc3339(1_709_210_096_000)
    '2024-02-29T12:34:56.000Z'
    """
    return datetime.fromtimestamp(time_ms / 1000, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
