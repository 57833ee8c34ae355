"""The demo's summary for people: verdicts, diagnoses, and a day as it was known and as it turned out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from infra.demo.report import day
from infra.demo.show_data import number
from schemas.observation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.demo.report import Watched
    from infra.demo.truth import Hindsight, Judged

_COLOURS = {Finding.BETTER.value: "green", Finding.WORSE.value: "red", Finding.EQUIVALENT.value: "cyan"}
_MOST_MONTHS = 6


def verdicts(found: Iterable[Watched]) -> Table:
    """Every challenger beside its champion: the finding, on which rows, and what is known without being a verdict."""
    title = "Challengers on the same rows as their champion (loss saved: above 0 speaks for the challenger)"
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.caption = (
        "A verdict is of resolved rows, so old that their outcomes are in: it holds however often one looks. What was "
        "known when it was told, at a window's end, is no verdict."
    )
    for column in ("deployment", "challenger", "champion", "verdict"):
        table.add_column(column, overflow="fold")
    for column in ("loss saved", "resolved", "until", "known then"):
        table.add_column(column, justify="right")
    for one in found:
        for place, each in enumerate(one.verdicts):
            short = [name.removeprefix(f"{one.name}-") for name in (each.challenger, each.champion)]
            table.add_row(
                "" if place else one.name,
                short[0],
                f"{short[1]}{'' if each.serves else ', before'}",
                *_verdict(each),
            )
        table.add_section()
    return table


def _verdict(one: Judged) -> tuple[Text | str, ...]:
    word = Text(one.finding, style=_COLOURS.get(one.finding, "yellow"))
    if one.decided_n is not None:
        word += Text(f" after {one.decided_n:,} rows")
    if one.overtaken:
        word += Text(", not by now", style="yellow")
    if one.retracted:
        word += Text(" (an earlier one was retracted)", style="magenta")
    if not one.n:
        word += Text(", no rows yet")
    saved = "" if one.mean is None else f"{one.mean:+.3g}" + ("" if one.radius is None else f" ± {one.radius:.2g}")
    until = "" if one.until_ms is None else day(one.until_ms)
    known = "" if one.known_mean is None else f"{one.known_mean:+.3g} of {one.known_n:,}"
    return word, saved, f"{one.n:,}", until, known


def diagnoses(found: Watched) -> Table | str:
    """What may have been the matter in the newest months; how often each cause was found in all of them."""
    if not found.diagnoses:
        return f"{found.name}: nothing is diagnosed, as no month is closed yet."
    title = f"{found.name}: what may have been the matter, by month (candidates with their evidence, no proofs)"
    table = Table(title=title, title_justify="left", caption_justify="left")
    for column in ("month", "model", "may be", "or also"):
        table.add_column(column, overflow="fold")
    for column in ("rows", "outcomes known"):
        table.add_column(column, justify="right")
    table.add_column("evidence (beside what it would be without a cause)", overflow="fold")
    for one in found.diagnoses[-_MOST_MONTHS:]:
        said = f"{one.cause} ({one.reason})" if one.reason and one.reason != one.cause else one.cause
        also = ", ".join(cause for cause in one.also if cause != one.reason).replace("_", " ")
        known = "" if one.coverage is None else f"{one.coverage:.0%}"
        model = one.model.removeprefix(f"{found.name}-")
        table.add_row(one.month, model, said.replace("_", " "), also, f"{one.rows:,}", known, one.evidence)
    causes = Counter(one.cause.replace("_", " ") for one in found.diagnoses)
    counted = ", ".join(f"{cause} {count}" for cause, count in causes.most_common())
    table.caption = f"all months: {counted}"
    return table


def hindsight(name: str, found: Hindsight) -> Table:
    """What was known at the end of a day, and what became of those that were pending."""
    asked = f"of the {found.expected:,} bookings made until then"
    table = Table(
        title=f"{name}: what was known at the end of {found.day} {asked}, and what became of it",
        title_justify="left",
        caption_justify="left",
    )
    known = f"{_share(found.coverage)} had an outcome then, {_share(found.coverage_now)} have one now. "
    table.caption = known + _cohort(found) + _delay(found)
    for column in (
        "metric",
        "known then (naive)",
        "bounds then",
        "resolved cohort",
        "pending turned out",
        "truth, all now",
    ):
        table.add_column(column, justify="left" if column == "metric" else "right")
    table.add_column("said then")
    for one in found.metrics:
        bounds = "" if one.lowest is None else f"{number(one.lowest)} to {number(one.highest)}"
        values = number(one.then), bounds, number(one.resolved), number(one.pending), number(one.now)
        table.add_row(one.metric.replace("_", " "), *values, one.warning.replace("_", " "))
    return table


def _cohort(found: Hindsight) -> str:
    if found.resolved_share is None:
        return "No 1,000 bookings were so old that even 80 % of their outcomes should have been in: not resolved. "
    return (
        f"Resolved: the {found.resolved_rows:,} at least {found.resolved_age_days:.0f} days old, when "
        f"{found.resolved_share:.0%} should be in ({_share(found.resolved_coverage)} were). "
    )


def _delay(found: Hindsight) -> str:
    if found.median_days is None:
        return ""
    alone = (
        "" if found.matched_median_days is None else f", not {found.matched_median_days:.0f} as of the matched alone"
    )
    return f"Half of the outcomes take {found.median_days:.0f} days{alone}."


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.1%}"
