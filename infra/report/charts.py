"""Pictures in SVG: two histograms over each other, drift against importance, differences (over time: `timeline`).

Each is drawn in units of its own view box and scales with its place; colours are the page's, so that both schemes fit.
Every mark says its number when it is pointed at, and each picture has a title for those who do not see it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import sqrt
from typing import TYPE_CHECKING

from infra.report.markup import Markup, element

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from infra.report.content import Beside, FeatureSection, Histogram, Point

WIDTH, HEIGHT = 340.0, 140.0
QUADRANTS = 480.0, 320.0
LEFT, RIGHT, TOP, BOTTOM = 40.0, 8.0, 10.0, 20.0
LEAST_GAP = 12.0
_ROW = 44.0


def day(at_ms: int) -> str:
    """A date, with the hour where it is not midnight.

    >>> day(0), day(3_600_000)
    ('1970-01-01', '1970-01-01 01:00')
    """
    moment = datetime.fromtimestamp(at_ms / 1000, tz=UTC)
    return moment.strftime("%Y-%m-%d" if at_ms % 86_400_000 == 0 else "%Y-%m-%d %H:%M")


def number(value: float | None) -> str:
    """A number as people read it.

    >>> number(0.123456), number(12345.6), number(0.00001), number(0.0), number(None)
    ('0.123', '12,346', '1e-05', '0', '')
    """
    if value is None:
        return ""
    if abs(value) >= 1000:  # noqa: PLR2004  # four digits and more are read in groups
        return f"{value:,.0f}"
    return f"{value:.3g}"


def histograms(name: str, found: Histogram) -> Markup:
    """Training as an outline behind, the window in front, bin by bin."""
    count = len(found.labels)
    most = max((*found.baseline, *found.window), default=0.0) or 1.0
    high = HEIGHT - TOP - BOTTOM
    step = (WIDTH - LEFT - RIGHT) / max(count, 1)

    def y(share: float) -> float:
        return HEIGHT - BOTTOM - share / most * high

    marks = [*frame(0.0, most, y, percent=True)]
    for place, (label, before, now) in enumerate(zip(found.labels, found.baseline, found.window, strict=True)):
        left = LEFT + place * step
        said = element("title", f"{label}: {before:.1%} in training, {now:.1%} in the window")
        wide, slim = max(step * 0.84, 1.0), max(step * 0.5, 0.7)
        marks += [
            element(
                "rect",
                x=left + (step - wide) / 2,
                y=y(before),
                width=wide,
                height=HEIGHT - BOTTOM - y(before),
                class_="before",
            ),
            element(
                "rect", x=left + (step - slim) / 2, y=y(now), width=slim, height=HEIGHT - BOTTOM - y(now), class_="now"
            ),
            element("rect", said, x=left, y=TOP, width=step, height=high, class_="hit"),
        ]
    if count:
        marks.append(element("text", _cut(found.labels[0]), x=LEFT, y=HEIGHT - 6, class_="faint"))
        marks.append(element("text", _cut(found.labels[-1]), x=WIDTH - RIGHT, y=HEIGHT - 6, class_="end faint"))
    return picture(f"{name}: training and window", marks, HEIGHT)


def quadrants(features: Sequence[FeatureSection]) -> Markup:
    """Importance to the right, drift upwards (compressed as a root, so that small ones are told apart).

    Where features are not at risk from the same drift on, it is told in units of each one's threshold.
    """
    thresholds = {one.limits[0] for one in features}
    at_risk = thresholds.pop() if len(thresholds) == 1 else 1.0
    known = [
        (one.newest.value * at_risk / one.limits[0], one)
        for one in features
        if one.newest is not None and one.newest.value is not None
    ]
    wide, tall = QUADRANTS
    heaviest = max((one.weight for one in features), default=0.0) or 1.0
    most = max([at_risk * 3, *(drift for drift, _ in known)])

    def x(weight: float) -> float:
        return LEFT + weight / heaviest * (wide - LEFT - RIGHT - 90)

    def y(drift: float) -> float:
        return tall - 34 - sqrt(max(drift, 0.0) / most) * (tall - 34 - 44)

    right, split, level = wide - RIGHT, x(heaviest / 2), y(at_risk)
    marks = [
        element("rect", x=split, y=8, width=right - split, height=level - 8, class_="act"),
        element("line", x1=LEFT, x2=right, y1=level, y2=level, class_="level"),
        element("line", x1=split, x2=split, y1=8, y2=tall - 30, class_="level"),
        element("text", "important and drifting", x=right - 6, y=24, class_="end faint"),
        element("text", "minor, drifting", x=LEFT + 6, y=24, class_="faint"),
        element("text", "minor, stable", x=split - 6, y=tall - 38, class_="end faint"),
        element("text", "important, stable", x=right - 6, y=tall - 38, class_="end faint"),
        element("text", "importance →", x=right, y=tall - 12, class_="end faint"),
        element("text", "drift / its threshold ↑" if thresholds else "drift ↑", x=2, y=tall - 12, class_="faint"),
        element("text", number(at_risk), x=LEFT - 4, y=level + 3, class_="end faint"),
    ]
    labelled: list[tuple[float, float]] = []
    for drift, one in sorted(known, key=lambda pair: -pair[0]):
        at_x, at_y = x(one.weight), y(drift)
        value = number(one.newest.value if one.newest else None)
        said = element("title", f"{one.name}: drift {value}, importance {one.weight:.1%}")
        marks.append(
            element("circle", said, cx=at_x, cy=at_y, r=5, class_=f"dot {(one.status or 'plain').replace(' ', '-')}")
        )
        if all(abs(at_y - other_y) > LEAST_GAP or abs(at_x - other_x) > 90 for other_x, other_y in labelled):  # noqa: PLR2004  # the width of a label
            marks.append(element("text", _cut(one.name, 22), x=at_x + 9, y=at_y + 4, class_="label"))
            labelled.append((at_x, at_y))
    return picture("Drift by importance", marks, tall, wide)


def differences(found: Sequence[Beside]) -> Markup:
    """The loss that each challenger saves, with its interval, to the right of nothing where it is better."""
    known = [one for one in found if one.saved.value is not None]
    ends = [end for one in known for end in (one.saved.value, one.saved.low, one.saved.high) if end is not None]
    reach = max((abs(end) for end in ends), default=1.0) or 1.0
    wide, tall = QUADRANTS[0], _ROW * len(known) + TOP + BOTTOM

    def x(value: float) -> float:
        return wide / 2 + value / reach * (wide / 2 - 30)

    marks = [
        element("line", x1=x(0), x2=x(0), y1=TOP, y2=tall - BOTTOM, class_="level"),
        element("text", "worse than the champion", x=4, y=tall - 6, class_="faint"),
        element("text", "better", x=wide - 4, y=tall - 6, class_="end faint"),
    ]
    for place, one in enumerate(known):
        at, middle = TOP + _ROW * place + _ROW * 0.7, x(one.saved.value or 0.0)
        said = element("title", f"{one.challenger}: {number(one.saved.value)} {interval(one.saved)}".strip())
        if one.saved.low is not None and one.saved.high is not None:
            marks.append(element("line", x1=x(one.saved.low), x2=x(one.saved.high), y1=at, y2=at, class_="line"))
        kind, finding = one.saved.status, one.saved.status
        if one.overtaken:
            kind, finding = "unknown", f"{finding}, not by now"
        marks.append(element("circle", said, cx=middle, cy=at, r=5, class_=f"dot {kind}"))
        side = "end label" if middle > wide / 2 else "label"
        marks.append(element("text", f"{one.challenger}: {finding}", x=middle, y=at - 10, class_=side))
    return picture("Challengers beside their champion", marks, tall, wide)


def interval(point: Point) -> str:
    """A 95 % interval in brackets, where there is one."""
    return "" if point.low is None or point.high is None else f"[{number(point.low)}, {number(point.high)}]"


def picture(title: str, marks: Sequence[Markup], height: float, width: float = WIDTH) -> Markup:
    """A drawing with its title."""
    return element(
        "svg",
        element("title", title),
        marks,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="img",
        aria_label=title,
        class_="large" if width > WIDTH else None,
    )


def frame(bottom: float, top: float, place: Callable[[float], float], *, percent: bool = False) -> list[Markup]:
    """The axis at the bottom, and what bottom and top stand for."""
    said = "{:.0%}".format if percent else number
    marks = [
        element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=place(bottom), y2=place(bottom), class_="axis"),
        element("text", said(bottom), x=LEFT - 4, y=place(bottom), class_="end faint"),
    ]
    if top > bottom:
        marks.append(element("text", said(top), x=LEFT - 4, y=place(top) + 6, class_="end faint"))
    return marks


def _cut(text: str, most: int = 18) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
