"""Pieces that the sections of the page share: cards with a picture and its numbers, tables, signs of a status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.report.charts import day, interval, number
from infra.report.markup import Markup, element
from infra.report.timeline import over_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from infra.report.content import Histogram, Line
    from infra.report.markup import Child

SIGNS = {"passing": "●", "at risk": "▲", "failing": "■", "unknown": "?"}


def grid(lines: Iterable[Line]) -> Markup:
    """Cards of lines that have windows, nothing where none has."""
    cards = [line_card(line) for line in lines if line.points]
    return element("div", cards, class_="grid apart") if cards else Markup("")


def lines_section(title: str, note: str, lines: Sequence[Line]) -> Markup:
    """A section of cards; a sentence where there is nothing to show."""
    cards = [line_card(line) for line in lines if line.points]
    if not cards:
        return section(title, element("p", "Nothing to show yet.", class_="soft"))
    return section(title, element("p", note, class_="soft"), element("div", cards, class_="grid"))


def line_card(line: Line) -> Markup:
    """A line: its newest value, its picture, its numbers."""
    newest = next((point for point in reversed(line.points) if point.value is not None), None)
    said = f"{number(newest.value)}{line.unit and f' {line.unit}'}" if newest else "no value"
    meta = f"{day(newest.start_ms)} {interval(newest)} {newest.note}".strip() if newest else line.points[-1].note
    return element(
        "section",
        element("div", element("h3", line.name), element("span", said, class_="state"), class_="head"),
        element("div", meta, class_="meta"),
        over_time(line),
        points_table(line),
        class_="card",
    )


def points_table(line: Line) -> Markup:
    """The windows of a line."""
    expected = any(point.estimate is not None for point in line.points)
    columns = (
        "window",
        "value",
        "95 % interval",
        *(("estimate without outcomes",) if expected else ()),
        *(name for name, _ in line.beside),
        "status",
        "note",
    )
    beside = [{point.start_ms: number(point.value) for point in points} for _, points in line.beside]
    rows = [
        (
            day(point.start_ms),
            number(point.value),
            interval(point),
            *((number(point.estimate),) if expected else ()),
            *(values.get(point.start_ms, "") for values in beside),
            state(point.status),
            point.note,
        )
        for point in line.points
    ]
    return details(f"{line.name} as a table", columns, rows, numbers=range(1, 3 + expected + len(line.beside)))


def shares(found: Histogram) -> Markup:
    """The bars of a histogram."""
    bars = zip(found.labels, found.baseline, found.window, strict=True)
    rows = [(label, f"{before:.1%}", f"{now:.1%}") for label, before, now in bars]
    return details("shares as a table", ("values", "training", "window"), rows, numbers=(1, 2))


def details(title: str, columns: Sequence[str], rows: Iterable[Sequence[Child]], *, numbers: Sequence[int]) -> Markup:
    """A table that is folded away; `numbers` are the columns to align to the right."""
    return element("details", element("summary", title), table(columns, rows, numbers=numbers))


def table(columns: Sequence[str], rows: Iterable[Sequence[Child]], *, numbers: Sequence[int] = ()) -> Markup:
    """A table; `numbers` are the columns to align to the right."""
    kinds = ["n" if place in numbers else None for place in range(len(columns))]
    head = element(
        "tr", [element("th", name, class_=kind, scope="col") for name, kind in zip(columns, kinds, strict=True)]
    )
    body = [
        element("tr", [element("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True)]) for row in rows
    ]
    return element("div", element("table", element("thead", head), element("tbody", body)), class_="wide", tabindex="0")


def section(title: str, *children: Child) -> Markup:
    """A part of the page with its title."""
    return element("section", element("h2", title), children)


def legend() -> Markup:
    """What the two colours of a histogram are."""
    return element(
        "div",
        element("span", element("i", style="background:var(--before)"), "training"),
        element("span", element("i", style="background:var(--accent)"), "newest window"),
        class_="legend",
    )


def state(status: str) -> Child:
    """A status as a word with its sign."""
    return element("span", f"{sign(status)} {status}", class_=f"state {word_class(status)}") if status else None


def sign(status: str) -> str:
    """Of a status; none of what is no status."""
    return SIGNS.get(status, "")


def word_class(status: str) -> str:
    """The class in the style sheet of a status."""
    return status.replace(" ", "-")
