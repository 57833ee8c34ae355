"""Values over time in SVG: the windows of a metric with their intervals, levels, and what was expected of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from infra.report.charts import (
    BOTTOM,
    HEIGHT,
    LEAST_GAP,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    day,
    frame,
    interval,
    number,
    picture,
)
from infra.report.markup import Markup, element

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from infra.report.content import Line, Point

    Place = Callable[[float], float]

DOT = 2.4
STROKES = 3
"""So many lines beside another have strokes of their own in the style sheet."""

_MANY = 60  # from so many points on the dots would be a second line


def over_time(line: Line) -> Markup:
    """Values of windows in time order, their intervals as a band, levels dashed; gaps where there is no value.

    What was expected without outcomes is a dashed line; a value that is not final is a hollow dot.
    """
    points = line.points
    known = [point for point in points if point.value is not None]
    bottom, peak, top = _range(line, known)
    first, last = points[0].start_ms, points[-1].start_ms

    def x(at_ms: float) -> float:
        share = (at_ms - first) / (last - first) if last > first else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        share = (min(max(value, bottom), top) - bottom) / (top - bottom)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    marks = [
        *frame(bottom, peak, y),
        *_levels(line, y),
        *_others(line, x, y),
        *_strokes(points, x, y),
        *_dots(known, x, y),
    ]
    base = HEIGHT - 6
    marks.append(element("text", day(first), x=LEFT, y=base, class_="faint"))
    if last > first:
        marks.append(element("text", day(last), x=WIDTH - RIGHT, y=base, class_="end faint"))
    return picture(f"{line.name} over time", marks, HEIGHT)


def _levels(line: Line, y: Place) -> Iterator[Markup]:
    taken: list[float] = []
    for name, level in line.levels:
        at = y(level)
        yield element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at, class_="level")
        if all(abs(at - other) >= LEAST_GAP for other in taken):
            clear = at + 11 if at - TOP < LEAST_GAP else at - 3
            yield element("text", f"{name} {number(level)}", x=WIDTH - RIGHT, y=clear, class_="end faint")
            taken.append(at)


def _others(line: Line, x: Place, y: Place) -> Iterator[Markup]:
    """Others behind the line, each in a stroke of its own."""
    for place, (name, points) in enumerate(line.beside):
        for run in _runs(points):
            yield _path(run, x, y, f"other other-{place % STROKES}", name)


def _strokes(points: Sequence[Point], x: Place, y: Place) -> Iterator[Markup]:
    """The line with its band, and the one of estimates."""
    for run in _runs(points):
        banded = [(point, point.low, point.high) for point in run if point.low is not None and point.high is not None]
        if len(banded) > 1:
            upper = [f"{x(point.start_ms):.1f},{y(high):.1f}" for point, _, high in banded]
            lower = [f"{x(point.start_ms):.1f},{y(low):.1f}" for point, low, _ in reversed(banded)]
            yield element("polygon", points=" ".join(upper + lower), class_="band")
        yield _path(run, x, y, "line")
    for run in _runs([replace(point, value=point.estimate) for point in points]):
        if run:
            yield _path(run, x, y, "expected")


def _path(run: Sequence[Point], x: Place, y: Place, kind: str, name: str = "") -> Markup:
    places = " ".join(f"{x(point.start_ms):.1f},{y(point.value or 0.0):.1f}" for point in run)
    return element("polyline", element("title", name) if name else None, points=places, class_=kind)


def _dots(known: Sequence[Point], x: Place, y: Place) -> Iterator[Markup]:
    is_crowded = len(known) > _MANY
    for point in known:
        status, is_final = point.status or "plain", point.state in ("", "final")
        if is_crowded and is_final and status in ("plain", "passing"):
            continue
        said = element("title", f"{day(point.start_ms)}: {number(point.value)} {interval(point)} {point.note}".strip())
        yield element(
            "circle",
            said,
            cx=x(point.start_ms),
            cy=y(point.value or 0.0),
            r=DOT * 0.7 if is_crowded else DOT,
            class_=f"dot {status.replace(' ', '-')}{'' if is_final else ' open'}",
        )


def _range(line: Line, known: Sequence[Point]) -> tuple[float, float, float]:
    """The lowest that is drawn, the highest that has something on it, and the highest that is drawn."""
    shown = [*known, *(point for _, points in line.beside for point in points)]
    values = [one for point in shown for one in (point.value, point.estimate) if one is not None]
    if not line.from_zero:
        values += [end for point in known for end in (point.low, point.high) if end is not None]
    values += [level for _, level in line.levels]
    bottom, top = min(values, default=0.0), max(values, default=1.0)
    if line.from_zero:
        reach = max((point.high for point in known if point.high is not None), default=top)
        top = min(max(top, reach), 2 * top) if top > 0 else max(top, reach)  # a wild interval may not flatten the line
        bottom = min(bottom, 0.0) if bottom < -0.05 * abs(top) else 0.0
    gap = 0.06 * ((top - bottom) or abs(top) or 1.0)
    if line.from_zero:
        return bottom, top, top + gap
    return (max(bottom - gap, 0.0) if bottom >= 0 else bottom - gap), top, top + gap  # no share below nothing


def _runs(points: Sequence[Point]) -> list[list[Point]]:
    """Points with a value that follow each other."""
    runs: list[list[Point]] = [[]]
    for point in points:
        if point.value is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]
