"""The demo's summary for people: rich tables of what `infra.demo.report` found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from schemas.observation import AlertPhase, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import RenderableType

    from infra.demo.report import AlertStory, Month, Watched

_COLOURS = {
    Status.PASSING.value: "green",
    Status.AT_RISK.value: "yellow",
    Status.FAILING.value: "red",
    Status.UNKNOWN.value: "dim",
    AlertPhase.FIRING.value: "red",
    AlertPhase.RESOLVED.value: "green",
    AlertPhase.RETRACTED.value: "magenta",
}
_MOST_DRIFTED = 5


def coloured(word: str) -> Text:
    """A status or phase in its colour."""
    return Text(word.replace("_", " "), style=_COLOURS.get(word, ""))


def overview(found: Iterable[Watched]) -> Table:
    """One line for each deployment."""
    table = Table(title="Deployments", title_justify="left")
    for column in ("deployment", "inputs", "champion", "revision"):
        table.add_column(column)
    for column in ("rows", "data errors", "system errors", "open alerts"):
        table.add_column(column, justify="right")
    for one in found:
        counts = (f"{number:,}" for number in (one.rows, one.data_errors, one.system_errors, one.open_alerts))
        table.add_row(one.name, coloured(one.status), one.champion, str(one.revision), *counts)
    return table


def drift(found: Iterable[Watched]) -> Table:
    """The most drifted features of each deployment, in the last closed week."""
    table = Table(title="Drift against training (PSI, last closed week)", title_justify="left")
    for column in ("deployment", "feature", "status", "week from"):
        table.add_column(column)
    for column in ("PSI", "95 % interval", "rows", "weeks drifted"):
        table.add_column(column, justify="right")
    for one in found:
        for number, feature in enumerate(one.drift[:_MOST_DRIFTED]):
            table.add_row(
                "" if number else one.name,
                feature.feature,
                coloured(feature.status),
                feature.window_start,
                f"{feature.psi:.2f}",
                f"{feature.low:.2f} to {feature.high:.2f}",
                f"{feature.n:,}",
                f"{feature.windows} of {feature.of}",
            )
    return table


def accuracy(found: Watched) -> Table:
    """Champion and challengers by month, beside what they were on holdout."""
    names = [found.champion, *found.challengers]
    title = f"{found.name}: {found.loss.replace('_', ' ')} by month (lower is better; * champion)"
    table = Table(title=title, title_justify="left")
    table.add_column("month")
    for name in names:
        table.add_column(
            name.removeprefix(f"{found.name}-") + (" *" if name == found.champion else ""), justify="right"
        )
    table.add_column("state")
    for column in ("coverage", "revision", "* at month's close", "coverage then"):
        table.add_column(column, justify="right")
    table.add_row("holdout", *(_number(found.holdout.get(name)) for name in names), style="dim")
    table.add_section()
    for month in found.months:
        then = (_number(month.first_value), "" if month.first_coverage is None else f"{month.first_coverage:.0%}")
        known = f"{month.coverage:.0%}"
        table.add_row(month.month, *_scores(month, names), month.state, known, str(month.revision), *then)
    return table


def other_alerts(found: Sequence[AlertStory], ours: str) -> Table:
    """Alerts of accuracy and errors with all that happened to them; `ours` is the alert of the demo's own error."""
    table = Table(title="Alerts of accuracy and errors", title_justify="left")
    for column in ("deployment", "alert", "what happened", "at", "because of windows from"):
        table.add_column(column, overflow="fold")
    for one in (story for story in found if not story.feature):
        marked = Text("\nthe demo's own error", style="magenta") if one.id == ours else Text("")
        for number, change in enumerate(one.changes):
            head = ("", "") if number else (one.deployment, Text(f"{one.rule}: {one.metric}") + marked)
            late = Text(" (late)", style="dim") if change.late else Text("")
            table.add_row(*head, coloured(change.phase) + late, change.at, "; ".join(change.windows))
        table.add_section()
    return table


def drift_alerts(found: Sequence[AlertStory]) -> Table:
    """Some alerts of drift of each deployment, those that are over first, with the windows they fired for."""
    chosen = []
    of_drift = [one for one in found if one.feature]
    for name in sorted({one.deployment for one in of_drift}):
        ours = [one for one in of_drift if one.deployment == name]
        chosen += sorted(ours, key=lambda one: (one.phase == AlertPhase.FIRING, one.since, one.feature))[:_MOST_DRIFTED]
    table = Table(title="Alerts of drift", title_justify="left", caption_justify="left")
    more = len(of_drift) - len(chosen)
    table.caption = f"and {more} more: watchkeeper alerts" if more > 0 else None
    for column in ("deployment", "feature", "fired at", "because of weeks from", "now", "since"):
        table.add_column(column, overflow="fold")
    for one in chosen:
        fired = next(change for change in one.changes if change.phase == AlertPhase.FIRING)
        last = one.changes[-1]
        because = "; ".join(fired.windows)
        table.add_row(one.deployment, one.feature, fired.at, because, coloured(last.phase), last.at)
    return table


def counts(found: Iterable[AlertStory]) -> str:
    """How many alerts there are in each state."""
    phases = [one.phase for one in found]
    parts = [f"{phases.count(phase)} {phase.value}" for phase in AlertPhase if phase.value in phases]
    return f"{len(phases)} fired" + (f", of which now {', '.join(parts)}" if parts else "")


def everything(found: Sequence[Watched], told: Sequence[AlertStory], ours: str) -> Iterator[RenderableType]:
    """All tables, in reading order; `ours` is the id of the alert that the demo caused itself."""
    yield drift(found)
    yield from (accuracy(one) for one in found)
    yield drift_alerts(told)
    yield other_alerts(told, ours)
    yield f"Alerts: {counts(told)}."
    yield overview(found)


def _scores(month: Month, names: Iterable[str]) -> Iterator[str]:
    said = {score.model: score for score in month.scores}
    for name in names:
        score = said.get(name)
        yield "" if score is None else score.reason or "" if score.value is None else _number(score.value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.1f}"  # noqa: PLR2004 - digits shown
