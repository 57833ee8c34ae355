"""The demo's summary for people: rich tables of what `infra.demo.report` found, in reading order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from infra.demo.show_data import coloured, drift, noticed, number, quality, segments
from infra.demo.show_fair import fairness
from infra.demo.show_truth import diagnoses, hindsight, verdicts
from schemas.observation import AlertPhase, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import RenderableType

    from infra.demo.findings import Noticed
    from infra.demo.report import AlertStory, Month, Watched

_MOST_DRIFTED = 5
_MOST_CHANGES = 4


def overview(found: Iterable[Watched]) -> Table:
    """One line for each deployment: how each stage is, as `watchkeeper status` says it, and what was counted."""
    table = Table(title="Deployments", title_justify="left")
    table.add_column("deployment", no_wrap=True)
    for column in ("champion", "drift", "quality", "health", "accuracy"):
        table.add_column(column)
    for column in ("rows", "data errors", "system errors", "unanswered", "open alerts"):
        table.add_column(column, justify="right")
    for one in found:
        stages = {stage.name: coloured(stage.status) for stage in one.stages}
        counted = (one.rows, one.data_errors, one.system_errors, one.unanswered, one.open_alerts)
        of_stage = (
            stages.get(name, coloured(Status.UNKNOWN.value)) for name in ("drift", "quality", "health", "accuracy")
        )
        champion = one.champion.removeprefix(f"{one.name}-")
        table.add_row(one.name, champion, *of_stage, *(f"{count:,}" for count in counted))
    return table


def accuracy(found: Watched, assumption: str = "") -> Table:
    """Champion and challengers by month, beside what they were on holdout; `assumption` is what estimates rest on."""
    names = [found.champion, *found.challengers]
    title = f"{found.name}: {found.loss.replace('_', ' ')} by month (lower is better; * champion)"
    table = Table(title=title, title_justify="left", caption_justify="left")
    if any(month.estimate is not None for month in found.months):
        table.caption = assumption
    table.add_column("month")
    for name in names:
        table.add_column(
            name.removeprefix(f"{found.name}-") + (" *" if name == found.champion else ""), justify="right"
        )
    table.add_column("state")
    for column in ("coverage", "revision", "* estimate", "* partial, at close", "coverage then"):
        table.add_column(column, justify="right")
    table.add_row("holdout", *(number(found.holdout.get(name)) for name in names), style="dim")
    table.add_section()
    for month in found.months:
        then = (number(month.first_value), "" if month.first_coverage is None else f"{month.first_coverage:.0%}")
        known = f"{month.coverage:.0%}"
        state = month.state if month.closed else "month still open"  # it has no revision yet, and more will come
        revision = str(month.revision) if month.closed else ""
        table.add_row(month.month, *_scores(month, names), state, known, revision, number(month.estimate), *then)
    return table


def other_alerts(found: Sequence[AlertStory], ours: str) -> Table:
    """Alerts of accuracy and errors with all that happened to them; `ours` is the alert of the demo's own error."""
    table = Table(title="Alerts of accuracy and errors, with their lives", title_justify="left")
    for column in ("deployment", "alert", "what happened", "at", "because of windows from"):
        table.add_column(column, overflow="fold")
    for one in (story for story in found if not story.feature):
        marked = Text("\nthe demo's own error", style="magenta") if one.id == ours else Text("")
        where = f" ({one.segment})" if one.segment else ""
        for place, change in enumerate(one.changes):
            head = ("", "") if place else (one.deployment, Text(f"{one.rule}: {one.metric}{where}") + marked)
            late = Text(" (late)", style="dim") if change.late else Text("")
            table.add_row(*head, coloured(change.phase) + late, change.at, "; ".join(change.windows))
        table.add_section()
    return table


def drift_alerts(found: Sequence[AlertStory]) -> Table:
    """Some alerts of drift of each deployment with their lives, those that are over or changed most first."""
    chosen = []
    of_drift = [one for one in found if one.feature]
    for name in sorted({one.deployment for one in of_drift}):
        ours = [one for one in of_drift if one.deployment == name]
        by_life = sorted(ours, key=lambda one: (one.phase == AlertPhase.FIRING, -len(one.changes), one.feature))
        chosen += by_life[:_MOST_DRIFTED]
    table = Table(title="Alerts of drift, with their lives", title_justify="left", caption_justify="left")
    more = len(of_drift) - len(chosen)
    table.caption = f"and {more} more: watchkeeper alerts" if more > 0 else None
    for column in ("deployment", "feature", "life: state by rule, severity, when", "now"):
        table.add_column(column, overflow="fold")
    for one in chosen:
        table.add_row(one.deployment, one.feature, _life(one), coloured(one.phase))
    return table


def counts(found: Iterable[AlertStory]) -> str:
    """How many alerts there are in each state."""
    phases = [one.phase for one in found]
    parts = [f"{phases.count(phase)} {phase.value}" for phase in AlertPhase if phase.value in phases]
    return f"{len(phases)} fired" + (f", of which now {', '.join(parts)}" if parts else "")


def everything(
    found: Sequence[Watched],
    told: Sequence[AlertStory],
    changes: Sequence[Noticed],
    ours: str,
    *,
    assumption: str = "",
) -> Iterator[RenderableType]:
    """All tables, in reading order; `ours` is the alert that the demo caused itself, `assumption` that of estimates."""
    yield from (drift(one) for one in found)
    yield noticed(changes, found)
    yield quality(found)
    yield from (accuracy(one, assumption) for one in found)
    yield from (hindsight(one.name, one.hindsight) for one in found if one.hindsight is not None)
    yield verdicts(found)
    yield from map(diagnoses, found)
    yield from (fairness(one, each) for one in found for each in one.fairness)
    yield from (segments(one.name, each) for one in found for each in one.segments)
    yield drift_alerts(told)
    yield other_alerts(told, ours)
    yield f"Alerts: {counts(told)}."
    yield overview(found)


def _life(story: AlertStory) -> str:
    said = [
        f"{change.phase} {change.at}" + (f" ({change.rule}, {change.severity})" if change.phase == "firing" else "")
        for change in story.changes
    ]
    left_out = len(said) - _MOST_CHANGES
    if left_out > 0:
        said[_MOST_CHANGES // 2 : -(_MOST_CHANGES // 2)] = [f"{left_out} more"]
    return ", ".join(said)


def _scores(month: Month, names: Iterable[str]) -> Iterator[str]:
    said = {score.model: score for score in month.scores}
    for name in names:
        score = said.get(name)
        yield "" if score is None else score.reason or "" if score.value is None else number(score.value)
