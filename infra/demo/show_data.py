"""The demo's summary for people: what was found in the data, as rich tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from infra.demo.report import day
from schemas.deployment import DAY_MS
from schemas.observation import AlertPhase, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from infra.demo.findings import Explained, Noticed
    from infra.demo.report import Watched

_COLOURS = {
    Status.PASSING.value: "green",
    Status.AT_RISK.value: "yellow",
    Status.FAILING.value: "red",
    Status.UNKNOWN.value: "dim",
    AlertPhase.FIRING.value: "red",
    AlertPhase.ACKNOWLEDGED.value: "yellow",
    AlertPhase.RESOLVED.value: "green",
    AlertPhase.RETRACTED.value: "magenta",
}
_QUADRANTS = {
    name: place
    for place, name in enumerate(
        ("important, drifting", "minor, drifting", "important, stable", "minor, stable", "unknown")
    )
}
_MOST_SHOWN = 5
_MOST_FEATURES = 10


def coloured(word: str) -> Text:
    """A status or phase in its colour."""
    return Text(word.replace("_", " "), style=_COLOURS.get(word, ""))


def number(value: float | None) -> str:
    """With three digits or so; nothing where there is none."""
    return "" if value is None else f"{value:.3g}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.1f}"  # noqa: PLR2004 - digits shown


def drift(found: Watched) -> Table:
    """The features of a deployment in its week, important and drifting ones first; the quiet ones named."""
    whole = (
        "" if found.weighted_drift is None else f"; all together, by importance: {found.weighted_drift:.0%} of failing"
    )
    title = f"{found.name}: drift against training by importance (PSI, last week of 200 rows{whole})"
    table = Table(title=title, title_justify="left", caption_justify="left")
    if found.quiet:
        kind = "material drift" if set(found.quiet) - set(found.silent) else "any kind"
        table.caption = f"no alert of {kind} has fired: {', '.join(found.quiet)}"
    for column in ("feature", "quadrant", "status"):
        table.add_column(column)
    for column in ("importance", "PSI", "95 % interval", "rows", "weeks drifted"):
        table.add_column(column, justify="right")
    table.add_column("what has grown most, training to now")
    of_note = sorted(found.drift, key=lambda one: (_QUADRANTS.get(one.quadrant, len(_QUADRANTS)), -one.psi))
    for one in of_note[:_MOST_FEATURES]:
        table.add_row(
            one.feature,
            one.quadrant,
            coloured(one.status),
            f"{one.importance:.1%}",
            f"{one.psi:.2f}",
            f"{one.low:.2f} to {one.high:.2f}",
            f"{one.n:,}",
            f"{one.windows} of {one.of}",
            one.moved,
        )
    return table


def noticed(found: Sequence[Noticed], deployments: Iterable[Watched]) -> Table:
    """The change detector, where one watches, beside material drift: who noticed a feature when."""
    unstable = {one.name: one.baseline_unstable for one in deployments if one.baseline_unstable is not None}
    table = Table(title="Change detector (days) and material drift (weeks): who noticed when", title_justify="left")
    table.caption_justify = "left"
    for column in ("deployment", "feature", "change detected", "material drift"):
        table.add_column(column)
    table.add_column("lead, days", justify="right")
    table.add_column("evidence on that day")
    table.caption = "\n".join(
        f"baseline_unstable: {len(names)} features of {name} wandered too much from day to day in training for the "
        "change detector to know a change; material drift alone watches them"
        for name, names in unstable.items()
        if names
    )
    last = None
    for one in [one for one in found if one.deployment in unstable][:_MOST_FEATURES]:
        changed, drifted = one.changed_ms, one.drifted_ms
        lead = "" if drifted is None or changed is None else f"{(drifted - changed) / DAY_MS:.0f}"
        not_seen = "baseline_unstable" if one.feature in (unstable[one.deployment] or ()) else "never"
        first = not_seen if changed is None else day(changed)
        then = "never" if drifted is None else day(drifted)
        name = "" if one.deployment == last else one.deployment
        table.add_row(name, one.feature, first, then, lead, one.evidence)
        last = one.deployment
    return table


def quality(found: Iterable[Watched]) -> Table:
    """What was bad in the data of each deployment."""
    table = Table(title="Data quality: rates beside those of training, in the worst closed week", title_justify="left")
    for column in ("deployment", "metric", "feature", "status", "week from"):
        table.add_column(column)
    for column in ("now", "training", "rows", "weeks"):
        table.add_column(column, justify="right")
    for one in found:
        if not one.quality:
            table.add_row(one.name, "nothing bad", *[""] * 7)
        for number, bad in enumerate(one.quality[:_MOST_SHOWN]):
            table.add_row(
                "" if number else one.name,
                bad.metric.replace("_", " "),
                bad.feature,
                coloured(bad.status),
                day(bad.window_start_ms),
                f"{bad.value:.1%}",
                f"{bad.usual:.1%}",
                f"{bad.n:,}",
                f"{bad.windows} of {bad.of}",
            )
    return table


def segments(name: str, found: Explained) -> Table:
    """Which segments of a feature explain a change, by how much."""
    title = (
        f"{name}: {found.metric.replace('_', ' ')} by {found.feature}, {number(found.before)} in "
        f"{found.month_before}, {number(found.after)} in {found.month}"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("segment")
    for column in ("adds", "by mix", "by effect", "before", "after", "rows before", "rows after"):
        table.add_column(column, justify="right")
    for one in found.parts[:_MOST_SHOWN]:
        table.add_row(
            one.segment.partition("=")[2],
            f"{one.mix + one.effect:+.3g}",
            f"{one.mix:+.3g}",
            f"{one.effect:+.3g}",
            number(one.before),
            number(one.after),
            f"{one.rows_before:,}",
            f"{one.rows_after:,}",
        )
    return table
