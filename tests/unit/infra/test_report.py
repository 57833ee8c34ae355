"""The report stands alone, says in tables what its pictures show, and takes no name for markup."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from infra.report.charts import over_time
from infra.report.content import AlertRow, FeatureSection, Histogram, Line, Point, Report, StatusTile
from infra.report.page import document

EVIL = """"><script>alert('x')</script><img src=//evil.example/x onerror=alert(1)>&lt;"""
HOUR = 3_600_000
VOID = {"meta", "br", "img", "link", "input"}


class Page(HTMLParser):
    """A strict reading: every element that is opened is closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.text.append(data)


def line(name: str = "log loss") -> Line:
    points = (
        Point(0, 0.3, 0.2, 0.4, "passing", "coverage 90%, final"),
        Point(HOUR, None, note="empty"),
        Point(2 * HOUR, 0.9, 0.8, 1.0, "failing", EVIL),
        Point(3 * HOUR, 0.5, 0.4, 0.6, "at risk"),
    )
    return Line(name, points, (("holdout", 0.35),), from_zero=False)


def section(name: str) -> FeatureSection:
    histogram = Histogram(("up to 1", name, "missing"), (0.5, 0.5, 0.0), (0.2, 0.7, 0.1))
    newest = Point(2 * HOUR, 0.3, 0.28, 0.32, "failing")
    quality = (("missing rate", Point(0, 0.1, status="at risk")),)
    return FeatureSection(
        name,
        0.6,
        important=True,
        starred=True,
        quadrant="important, drifting",
        status="failing",
        newest=newest,
        n=1234,
        histogram=histogram,
        drift=Line("drift", line().points, (("at risk", 0.1), ("failing", 0.25))),
        quality=quality,
    )


REPORT = Report(
    deployment="churn",
    facts=(("champion", "boosted 2"),),
    tiles=(StatusTile("drift", "failing", "age"), StatusTile("health", "unknown", "no alert rule looks at it")),
    weighted_drift=0.42,
    at_risk=0.1,
    has_importances=True,
    features=(section("age"), section("plan")),
    joint=(line("domain auc"),),
    prediction=Histogram(("no", "yes"), (0.5, 0.5), (0.4, 0.6)),
    predictions=(line("prediction psi"),),
    health=(line("requests"),),
    accuracy=(line(),),
    quality=(),
    alerts=(AlertRow(0, HOUR, "firing", "warning", "age drifts", (Point(0, 0.4, 0.3, note="(100 rows)"),)),),
)
NOTHING = replace(
    REPORT,
    weighted_drift=None,
    features=(),
    joint=(),
    prediction=None,
    predictions=(),
    health=(),
    accuracy=(),
    alerts=(),
    tiles=(),
)


def test_the_page_is_well_formed_and_loads_and_runs_nothing() -> None:
    page = Page(document(REPORT))
    assert not page.tags.keys() & {"script", "img", "link", "iframe", "object", "embed", "form", "base"}
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in {"src", "srcset"}]
    assert all(value.startswith("#") for name, value in page.attributes if name == "href")
    assert not re.search(r"url\(|@import|https?:", document(REPORT))


def test_what_a_picture_shows_is_in_a_table_too() -> None:
    page = Page(document(REPORT))
    pictures = [value for name, value in page.attributes if name == "aria-label"]
    assert page.tags["svg"] == len(pictures) == 10
    assert page.tags["table"] >= page.tags["svg"]
    text = " ".join(page.text)
    for said in (
        "0.3",
        "[0.2, 0.4]",
        "coverage 90%, final",
        "70.0%",
        "■ failing",
        "▲ at risk",
        "? unknown",
        "(100 rows)",
    ):
        assert said in text


def test_links_lead_to_a_feature_and_ids_are_unique() -> None:
    page = Page(document(REPORT))
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value.removeprefix("#") for name, value in page.attributes if name == "href"} <= set(ids)


def test_no_name_becomes_markup() -> None:
    evil = replace(
        REPORT,
        deployment=EVIL,
        facts=((EVIL, EVIL),),
        tiles=(StatusTile("drift", "failing", EVIL),),
        features=(section(EVIL),),
        alerts=(AlertRow(0, 0, EVIL, EVIL, EVIL, ()),),
    )
    page, usual = Page(document(evil)), Page(document(REPORT))
    assert page.tags.keys() <= usual.tags.keys()
    assert EVIL in " ".join(page.text)


def test_a_report_of_nothing_says_so() -> None:
    text = " ".join(Page(document(NOTHING)).text)
    assert "No window has rows yet." in text
    assert "Nothing to show yet." in text
    assert "None so far." in text


@given(
    values=st.lists(
        st.tuples(st.none() | st.floats(-1e9, 1e9), st.none() | st.floats(0, 1e9)), min_size=1, max_size=100
    ),
    from_zero=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_any_line_can_be_drawn_inside_its_frame(
    *, values: list[tuple[float | None, float | None]], from_zero: bool
) -> None:
    points = tuple(
        Point(place * HOUR, value)
        if value is None or reach is None
        else Point(place * HOUR, value, value - reach, value + reach)
        for place, (value, reach) in enumerate(values)
    )
    drawn = over_time(Line("x", points, from_zero=from_zero))
    assert "nan" not in drawn
    assert "inf" not in drawn
    for at in re.findall(r'c[xy]="([^"]+)"', drawn):
        assert -1 <= float(at) <= 341
    Page(drawn)
