"""The report stands alone, says in tables what its pictures show, and takes no name for markup."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.fair import DESERVED, GIVEN, RIGHT, Fair, Ratio, sentence
from infra.report.against import against
from infra.report.charts import quadrants
from infra.report.content import (
    Against,
    AlertRow,
    Behind,
    Beside,
    Diagnosed,
    FeatureSection,
    Histogram,
    LateLabels,
    Line,
    Mover,
    Point,
    Protected,
    Report,
    StatusTile,
    ThreeWays,
    Told,
)
from infra.report.movers import movers
from infra.report.page import document
from infra.report.timeline import over_time

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
        limits=(0.1, 0.25),
        quality=quality,
        statistics=(("hellinger", Point(2 * HOUR, 0.4321, 0.4, 0.46, "failing")), ("chi squared", Point(0, 106.4))),
        unseen=((f"new {name}", "5 to 7"),),
    )


REPORT = Report(
    deployment="churn",
    facts=(("champion", "boosted 2"),),
    tiles=(StatusTile("drift", "failing", "age"), StatusTile("health", "unknown", "no alert rule looks at it")),
    weighted_drift=0.42,
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
MOVERS = (
    Mover(EVIL, Point(0, 0.612, 0.59, 0.63), 1, 0.3, 2, -0.25),
    Mover("plan", Point(0, 0.388, 0.37, 0.41), 2, None, None, None),
)
STATES = ("estimate", "partial", "final")
LATE = replace(
    REPORT,
    labels=LateLabels(
        ("44.9 % are in.",),
        (("50%", "46 d", "45 d to 47 d", "22 d"), ("90%", "138 d", "", "103 d")),
        (
            ThreeWays("rate", Point(0, 0.44, note="delay bias"), 900, Point(0, 0.395, 0.38, 0.41), 700, 0.282, 0.642),
            ThreeWays("loss", Point(0, 0.7), 900, Point(0, None, note="not resolved"), 0, None, None),
        ),
    ),
    challengers=(
        Beside(
            EVIL, "old", "brier", Point(0, 0.02, 0.01, 0.03, "better", "after 800 rows"), 900, "2016-02-29", 0.1, 950
        ),
        Beside(
            "weak",
            "old",
            "brier",
            Point(0, None, status="undecided", note="no rows are old enough yet"),
            0,
            "",
            None,
            0,
        ),
    ),
    diagnoses=(Diagnosed(0, "old 1", "concept drift", "label shift", "90%", "psi of adr 0.9 (0.1)"),),
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


def test_what_moves_the_predictions_is_told_with_ranks_and_only_where_something_is_explained() -> None:
    page = Page(str(movers(replace(REPORT, movers=MOVERS))))
    text = " ".join(page.text)
    for said in (EVIL, "0.612", "[0.59, 0.63]", "1 (was 2)", "-0.25"):
        assert said in text
    assert not page.tags.keys() & {"script", "img"}
    assert str(movers(REPORT)) == ""


def test_predicted_against_actual_is_drawn_and_told_in_numbers() -> None:
    told = (Told(900, 0.25, Point(0, 0.31, 0.28, 0.34)), Told(100, 0.75, Point(0, 0.6)))
    shown = replace(REPORT, against=Against(told, ("no", EVIL), ((640, 10), (88, 262))))
    page = Page(document(shown))
    text = " ".join(page.text)
    for said in ("0.25", "0.31", "[0.28, 0.34]", "900", f"said {EVIL}", "262", "98.5%", "74.9%"):
        assert said in text
    assert page.tags["circle"] == Page(document(REPORT)).tags["circle"] + 2
    assert "Predicted against actual" not in document(REPORT)


def test_numbers_have_a_curve_and_classes_a_matrix() -> None:
    one_bin = Page(str(against(replace(REPORT, against=Against((Told(3, 5.0, Point(0, 5.0)),))))))
    assert (one_bin.tags["svg"], one_bin.tags["table"]) == (1, 1)
    classes = Against((), ("a", "b", "c"), ((1, 0, 0), (0, 0, 0), (0, 0, 2)))
    page = Page(str(against(replace(REPORT, against=classes))))
    assert (page.tags["svg"], page.tags["table"], page.text.count("100.0%")) == (0, 1, 2)


def protected(name: str = "sex", group: str = "f") -> Protected:
    """Of two models; the champion gives one group too little."""
    said = [
        Ratio("old 1", GIVEN, group, 900, 0.3, 0.667, 0.593, 0.749, 0.91, "failing", ""),
        Ratio("old 1", GIVEN, "m", 1_200, 0.45, 1.0, None, None, 1.0, "passing", ""),
        Ratio("old 1", GIVEN, "x", 12, None, None, None, None, None, "unknown", "too_few_rows"),
        Ratio("old 1", DESERVED, group, 400, 0.55, 0.81, 0.7, 0.93, 0.99, "passing", ""),
        Ratio("new 1", GIVEN, group, 900, 0.4, 0.888, 0.8, 0.98, None, "passing", ""),
    ]
    beside = (("new 1", (Point(0, 0.9), Point(HOUR, 1.6))),)
    over = Line(
        f"{group}: parity",
        (Point(0, 0.7, 0.6, 0.8, "failing"), Point(HOUR, 0.65)),
        (("fair from", 0.8),),
        beside=beside,
    )
    return Protected(Fair(name, "repaid = yes", "m", 0.8, tuple(said)), "old 1", ("new 1",), (over,))


def test_fairness_has_a_card_for_each_protected_feature_with_challengers_beside() -> None:
    shown = document(replace(REPORT, fairness=(protected(), protected(EVIL, EVIL))))
    page = Page(shown)
    text = " ".join(page.text)
    for said in (
        "Of f the model says repaid = yes in 30.0% of rows, 0.67 times as often as of m, where 0.8 would be fair;",
        "of those of whom it came true in 55.0%, 0.81 times (0.99 on holdout). Of x there are too few rows.",
        "ratios to m, fair from 0.8 to 1.25",
        "says repaid = yes f 900 30.0% 0.67 [0.59, 0.75] 0.91 ■ failing 0.89",
        "x 12 ? unknown too few rows",
        "m 1,200 45.0% 1.00 1.00 reference",
        EVIL,
    ):
        assert said in text
    assert "sex" in text
    assert page.tags.keys() <= Page(document(REPORT)).tags.keys()
    assert "Fairness" not in document(REPORT)


@pytest.mark.parametrize(
    ("ratio", "limit"), [(0.667, "0.67 times as often as of m, where 0.8 would"), (1.9, "1.90 times")]
)
def test_a_group_that_gets_too_much_is_named_as_one_that_gets_too_little_is(ratio: float, limit: str) -> None:
    said = [Ratio("old 1", GIVEN, "f", 900, 0.3, ratio, ratio * 0.95, ratio * 1.05, None, "failing", "")]
    found = Fair("sex", "repaid = yes", "m", 0.8, tuple(said))
    assert limit in sentence(found, "old 1")
    assert ("1.25 would be fair" in sentence(found, "old 1")) == (ratio > 1)


def test_no_group_is_said_to_be_treated_fairly_beside_a_metric_that_fails() -> None:
    said = [
        Ratio("old 1", GIVEN, "f", 900, 0.4, 0.888, 0.8, 0.98, None, "passing", ""),
        Ratio("old 1", GIVEN, "x", 12, None, None, None, None, None, "unknown", "too_few_rows"),
        Ratio("old 1", DESERVED, "f", 400, 0.5, 0.61, 0.53, 0.7, None, "failing", ""),
        Ratio("old 1", DESERVED, "d", 400, 0.5, 1.9, 1.8, 2.0, 1.1, "failing", ""),
        Ratio("old 1", RIGHT, "f", 400, 0.5, 0.75, 0.7, 0.79, None, "failing", ""),
        Ratio("new 1", DESERVED, "d", 400, 0.5, 0.3, 0.2, 0.4, None, "failing", ""),
    ]
    predicted = "the model surely says repaid = yes less than 0.8 or more than 1.25 times as often as of m"
    found = Fair("sex", "repaid = yes", "m", 0.8, tuple(said))
    assert sentence(found, "old 1") == (
        f"Of no group {predicted}; but of those of whom it came true, it says so 0.61 times as often of f and 1.90 "
        "times as often of d (1.10 on holdout); but where it says so, it came true 0.75 times as often of f. "
        "Of x there are too few rows."
    )
    right = Fair("sex", "repaid = yes", "m", 0.8, (said[0], said[4]))
    assert sentence(right, "old 1").endswith("as of m; but where it says so, it came true 0.75 times as often of f.")


def test_others_stand_behind_a_line_with_a_name_a_stroke_and_their_numbers() -> None:
    drawn = str(over_time(protected().lines[0]))
    assert drawn.count("<title>new 1</title>") == 1
    assert 'class="other other-0"' in drawn
    assert "1.6" in drawn, "the highest of all is what the axis ends with"
    text = " ".join(Page(document(replace(REPORT, fairness=(protected(),)))).text)
    assert "value 95 % interval new 1 status note" in text


def test_an_axis_ends_with_what_is_on_it_and_a_share_does_not_begin_below_nothing() -> None:
    share = Line("rate", (Point(0, 0.01), Point(HOUR, 1.0)), from_zero=False)
    ends = re.findall(r'class="end faint">([^<]+)<', over_time(share))
    assert ends[:2] == ["0", "1"]
    skill = Line("skill", (Point(0, -0.2), Point(HOUR, 0.6)), from_zero=False)
    assert re.findall(r'class="end faint">([^<]+)<', over_time(skill))[:2] == ["-0.248", "0.6"]


def test_where_nothing_is_above_the_axis_its_end_is_told_once() -> None:
    flat = over_time(Line("slow requests", (Point(0, 0.0), Point(HOUR, 0.0))))
    assert re.findall(r'class="end faint">([^<]+)<', flat) == ["0", "1970-01-01 01:00"]


def test_a_verdict_that_all_rows_by_now_speak_against_is_drawn_as_none() -> None:
    (one, _) = LATE.challengers
    told = document(replace(LATE, challengers=(replace(one, challenger="weak", overtaken=True),)))
    assert "weak: better, not by now" in told
    assert "dot better" not in told
    assert "dot better" in document(LATE)


def test_what_estimates_rest_on_stands_beside_them() -> None:
    assert "no drift of the world" in " ".join(Page(document(replace(REPORT, assumption="no drift of the world"))).text)


def test_outcomes_that_come_late_are_told_with_what_they_hide() -> None:
    page = Page(document(LATE))
    text = " ".join(page.text)
    for said in ("44.9 % are in", "138 d", "delay bias", "0.282 to 0.642", "[0.38, 0.41]", "not resolved"):
        assert said in text
    assert "While outcomes come in" not in " ".join(Page(document(REPORT)).text)


def test_challengers_are_drawn_and_told_whatever_their_names_are() -> None:
    page = Page(document(LATE))
    assert "Challengers beside their champion" in [value for name, value in page.attributes if name == "aria-label"]
    text = " ".join(page.text)
    for said in (EVIL, "better", "after 800 rows", "[0.01, 0.03]", "no rows are old enough yet"):
        assert said in text
    assert page.tags.keys() <= Page(document(REPORT)).tags.keys()
    undecided = replace(LATE, challengers=LATE.challengers[1:])
    assert "Challengers beside their champion" not in document(undecided)


def test_a_window_s_causes_stand_beside_their_evidence() -> None:
    text = " ".join(Page(document(LATE)).text)
    for said in ("What may be the matter", "concept drift", "label shift", "psi of adr 0.9 (0.1)"):
        assert said in text


def test_other_measures_of_drift_stand_in_the_card_of_their_feature() -> None:
    text = " ".join(Page(document(REPORT)).text)
    assert "hellinger 0.432 [0.4, 0.46] ■ failing chi squared 106" in text


def test_drift_is_drawn_in_units_of_its_threshold_where_features_have_different_ones() -> None:
    age, strict = section("age"), replace(section("plan"), limits=(0.2, 0.5))
    alike, apart = (str(quadrants((age, other))) for other in (section("plan"), strict))
    assert "drift ↑" in alike
    assert "drift / its threshold ↑" in apart
    assert "plan: drift 0.3, importance 60.0%" in apart
    heights = [len(set(re.findall(r'cy="([0-9.]+)"', picture))) for picture in (alike, apart)]
    assert heights == [1, 2], "the same drift is nearer to the threshold of one of them"


def test_what_workers_have_still_to_read_stands_beside_health() -> None:
    roles = Behind("scorer", 2, "1,203 (requests-1: 1,200)", ""), Behind("joiner", 0, "7", EVIL)
    told = replace(REPORT, behind=roles)
    text = " ".join(Page(document(told)).text)
    assert "Consumer lag" in text
    assert f"scorer 2 1,203 (requests-1: 1,200) joiner 0 7 {EVIL}" in text
    assert "Consumer lag" not in document(REPORT)


def test_categories_that_training_never_saw_are_named_with_their_rows() -> None:
    text = " ".join(Page(document(replace(REPORT, features=(section(EVIL),)))).text)
    for said in ("categories that training never saw", f"new {EVIL}", "5 to 7"):
        assert said in text
    known = replace(section("plan"), unseen=())
    assert "never saw" not in document(replace(REPORT, features=(known,)))


def test_what_was_expected_is_dashed_and_what_is_not_final_is_hollow() -> None:
    points = [Point(place * HOUR, 0.5, state=state, estimate=0.4) for place, state in enumerate(STATES)]
    drawn = over_time(Line("x", tuple(points)))
    assert drawn.count('class="expected"') == 1
    assert drawn.count("dot plain open") == 2
    plain = over_time(line())
    assert "expected" not in plain
    assert " open" not in plain


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
