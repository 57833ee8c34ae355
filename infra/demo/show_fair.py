"""The demo's summary for people: what the groups of a protected feature get, of the champion and its challengers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from infra.demo.show_data import coloured
from infra.fair import DESERVED, GIVEN, RIGHT, sentence

if TYPE_CHECKING:
    from infra.demo.report import Watched
    from infra.fair import Fair, Ratio


def fairness(found: Watched, fair: Fair) -> Table:
    """Three of the eight ratios, group by group: what is predicted, of whom rightly, and how much it is worth."""
    questions = {
        GIVEN: f"says {fair.favourable}",
        DESERVED: "says so where it came true",
        RIGHT: "came true where it says so",
    }
    limits = f"fair from {fair.fair_from:g} to {1 / fair.fair_from:g}"
    title = f"{found.name}: fairness by {fair.feature} (ratio to {fair.reference}; {limits}; * champion)"
    table = Table(title=title, title_justify="left", caption_justify="left", caption=sentence(fair, found.champion))
    table.add_column("what")
    table.add_column("group")
    for column in ("rows", "rate", "ratio *", "95 % interval", "on holdout"):
        table.add_column(column, justify="right")
    table.add_column("status *")
    for name in found.challengers:
        table.add_column(name.removeprefix(f"{found.name}-"), justify="right")
    for metric, words in questions.items():
        others = [{one.group: one for one in fair.of(name, metric)} for name in found.challengers]
        for place, one in enumerate(fair.of(found.champion, metric)):
            beside = [_two(each[one.group].ratio) if one.group in each else "" for each in others]
            table.add_row("" if place else words, *_row(one, fair.reference), *beside)
        table.add_section()
    return table


def _row(one: Ratio, reference: str) -> tuple[str | Text, ...]:
    interval = "" if one.low is None else f"{one.low:.2f} to {one.high:.2f}"
    status = Text("reference", style="dim") if one.group == reference else coloured(one.status)
    if one.reason:
        status += Text(f": {one.reason.replace('_', ' ')}", style="dim")
    rate = "" if one.rate is None else f"{one.rate:.1%}"
    return one.group, f"{one.n:,}", rate, _two(one.ratio), interval, _two(one.on_holdout), status


def _two(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"
