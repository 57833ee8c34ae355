"""The section of the page on predicted against actual: a curve beside the diagonal, and the matrix of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.report.charts import BOTTOM, LEFT, RIGHT, TOP, WIDTH, frame, interval, number, picture
from infra.report.markup import Markup, element
from infra.report.parts import details, section, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.report.content import Against, Report, Told
    from infra.report.markup import Child

_TALL = 260.0


def against(report: Report) -> Markup:
    """What came true of rows that were told alike, in the whole range."""
    found = report.against
    if found is None:
        return Markup("")
    note = (
        "All rows of the range whose outcome is in, by the model that serves. Outcomes that come fast are not like "
        "those that come late: read the newest ones beside the coverage."
    )
    cards = [_curve(found.told)] if found.told else []
    if found.rows:
        cards.append(_matrix(found))
    return section(
        "Predicted against actual",
        element("p", note, class_="soft"),
        element("div", cards, class_="pair" if len(cards) > 1 else "stack"),
    )


def _curve(told: Sequence[Told]) -> Markup:
    rows = [(number(one.predicted), number(one.actual.value), interval(one.actual), f"{one.rows:,}") for one in told]
    columns = ("predicted (mean)", "actual (mean)", "95 % interval", "rows")
    return element(
        "section",
        element("h3", "means of rows told alike"),
        element("div", "on the dashed line they would be equal", class_="meta"),
        _drawn(told),
        details("predicted against actual as a table", columns, rows, numbers=(0, 1, 2, 3)),
        class_="card narrow",
    )


def _drawn(told: Sequence[Told]) -> Markup:
    ends = [one.predicted for one in told]
    ends += [end for one in told for end in (one.actual.value, one.actual.low, one.actual.high) if end is not None]
    low, high = min(ends), max(ends)
    reach = (high - low) or 1.0

    def x(value: float) -> float:
        return LEFT + (value - low) / reach * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return _TALL - BOTTOM - (value - low) / reach * (_TALL - TOP - BOTTOM)

    marks = [
        *frame(low, low + reach, y),
        element("line", x1=x(low), x2=x(low + reach), y1=y(low), y2=y(low + reach), class_="level"),
        element("text", f"predicted, up to {number(low + reach)}", x=WIDTH - RIGHT, y=_TALL - 4, class_="end faint"),
    ]
    for one in told:
        at, value = x(one.predicted), one.actual.value or 0.0
        if one.actual.low is not None and one.actual.high is not None:
            marks.append(element("line", x1=at, x2=at, y1=y(one.actual.low), y2=y(one.actual.high), class_="line"))
        said = element("title", f"{number(one.predicted)}: {number(value)} {interval(one.actual)}, {one.rows:,} rows")
        marks.append(element("circle", said, cx=at, cy=y(value), r=4, class_="dot"))
    return picture("Predicted against actual", marks, _TALL)


def _matrix(found: Against) -> Markup:
    def row(place: int, said: Sequence[int]) -> tuple[Child, ...]:
        every = sum(said)
        rightly = f"{said[place] / every:.1%}" if every else ""
        return found.classes[place], *(f"{rows:,}" for rows in said), f"{every:,}", rightly

    columns = ("actual", *(f"said {name}" for name in found.classes), "rows", "said rightly")
    rows = [row(place, said) for place, said in enumerate(found.rows)]
    return element(
        "section",
        element("h3", "rows by actual and predicted class"),
        table(columns, rows, numbers=range(1, len(columns))),
        class_="card",
    )
