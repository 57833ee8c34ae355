"""Whatever is counted, every word that leaves monitoring is finite, and a metric is a value or says why there is none.

Not metric by metric, but as things are emitted: odd summaries of every stage (of one row, of absurd scores, of what was
taken back before it came, of counts that contradict each other) go through a real evaluator with every metric and
everything that can be declared, and are then rolled up and compared on read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from math import isfinite

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.attribution import EXPLAINED, LEFT_OUT, SIGNED, SIZE, SQUARE, with_attributions
from monitors.betting import WIDTH
from monitors.deployment_book import Effects
from monitors.evaluator import Evaluator
from monitors.folds.flow import ASKED
from monitors.periods import Ago, Range
from monitors.rollup import Buckets, Reader
from monitors.summary import Summary as Counts
from monitors.table import MemoryTable
from monitors.windows import Series
from schemas.deployment import (
    DAY_MS,
    HOUR_MS,
    ChangeDetector,
    Deployment,
    DriftStatistic,
    Model,
    Settings,
    Span,
)
from schemas.expectations import Aggregate, CustomMetric, Timeliness
from schemas.explanations import Explanations
from schemas.fairness import Fairness
from schemas.observation import Entry, Kind, Metric, Reason, Summary
from schemas.package import Feature, FeatureType, Package, TargetType
from schemas.topics import Topic
from tests.unit.monitors.evaluator_scene import progress
from tests.unit.monitors.test_metrics import odd_summaries, packages

NAME, CHAMPION, CHALLENGER = "odd", "m", "c"
FEATURES = tuple(
    Feature(name, FeatureType.CATEGORICAL if name == "plan" else FeatureType.NUMERIC)
    for name in ("age", "constant", "gone", "height", "plan")
)
EVERYTHING = Settings(
    drift_window=Span.HOUR,
    accuracy_window=Span.HOUR,
    grace_ms=0,
    segments=("plan",),
    row_sample=True,
    explanations=True,
    by_outcome_time=True,
    drift_statistics=tuple(DriftStatistic),
    timeliness=Timeliness(predictions="PT1H", actuals="PT1H"),
    custom_metrics=tuple(
        CustomMetric(aggregate.value, aggregate, at_risk=1.0, failing=2.0, unit=10.0**exponent)
        for aggregate, exponent in zip(Aggregate, (0, 12, -12), strict=True)
    ),
    detectors=(ChangeDetector.ADWIN,),
    resolved_after_ms=HOUR_MS,
    fairness=Fairness(protected=("plan",)),
)
OF_MODEL = (Kind.FEATURES, Kind.PREDICTIONS, Kind.ACCURACY, Kind.OUTCOMES)
OF_DEPLOYMENT = {
    Kind.CUSTOM: ["reports:sum", "reports:mean", "gauge:gauge:0", "gauge:gauge:60000", "refused:bad_time"],
    Kind.PREDICTION_ARRIVALS: ["in_slot", "after"],
    Kind.ACTUAL_ARRIVALS: ["in_slot", "after"],
}
OF_FLOW = ["requests", "answers", "shadows", f"{ASKED}1", f"{ASKED}2", "expected", "matched", "expired"]
OF_QUALITY = ["repeated", "rejected_actuals", "schema:unknown", "schema:checked", "refused", "rows", "matched"]
ONE_ROW = Entry(Kind.PREDICTIONS, CHAMPION, "", 0, Counts({"rows": np.array([1])}).encode())
SUMS = ["sum:sum:1", "sum:mean:41", "gauge:gauge:0:-39", "gauge:gauge:60000:-39"]

ATTRIBUTED = [kind.format(feature.name) for kind in (SIGNED, SIZE, SQUARE) for feature in FEATURES[:2]]

NUMBERS = st.sampled_from([0, 1, 1, 2, 7, 40, 1_000, -1, -30, 10**9])
TOTALS = st.sampled_from([0, 1, -1, 1 << 32, -(1 << 33), 1 << 90, -(1 << 90)])


class View:
    """A champion and a challenger with one and the same package."""

    def __init__(self, package: Package) -> None:
        self._package = package
        models = [Model(digest, digest, "1") for digest in (CHAMPION, CHALLENGER)]
        self.known = Deployment(NAME, 1, package.target, FEATURES, models[0], (models[1],), EVERYTHING)

    def deployment(self, name: str) -> Deployment | None:
        """The only one."""
        return self.known if name == NAME else None

    def package(self, digest: str) -> Package | None:
        """Of either model."""
        of = msgspec.structs.replace(self._package, digest=digest, features=FEATURES)
        return of if digest in (CHAMPION, CHALLENGER) else None


@cache
def world(target: TargetType, *, full: bool) -> tuple[View, list[Counts]]:
    """A package with a baseline or without, and odd summaries of it; of attributions the sums say anything."""
    package = [each for each in packages() if each.target.type is target][full]
    if full:
        names = tuple(feature.name for feature in FEATURES)
        said = Explanations(names, np.outer([0.0, 0.5, -2.0], np.arange(5.0)))
        baseline = with_attributions(package.baseline, said, dict.fromkeys(names, (0.0,)))
        package = msgspec.structs.replace(package, baseline=baseline)
    return View(package), odd_summaries(package)


def counts_of(names: list[str]) -> st.SearchStrategy[Counts]:
    counts = st.dictionaries(st.sampled_from(names), NUMBERS.map(np.atleast_1d), max_size=len(names))
    return st.builds(Counts, counts, st.dictionaries(st.sampled_from(SUMS), TOTALS))


PAIRS = st.builds(
    lambda n, d, d2, bets, clipped: Counts(
        {"pairs": np.array([n]), "bets": np.resize(np.array(bets), WIDTH), "clipped": np.array([clipped])},
        {"d": d, "d2": d2},
    ),
    NUMBERS,
    TOTALS,
    TOTALS,
    st.lists(NUMBERS, min_size=1, max_size=5),
    NUMBERS,
)


@st.composite
def entries(draw: st.DrawFn, summaries: list[Counts]) -> Entry:
    kind = draw(st.sampled_from([*OF_MODEL, *OF_MODEL, *OF_DEPLOYMENT, Kind.FLOW, Kind.PAIRS]))
    hour_ms = draw(st.integers(0, 3)) * HOUR_MS
    if kind is Kind.PAIRS:
        return Entry(kind, CHALLENGER, CHAMPION, hour_ms, draw(PAIRS).encode())
    if kind in OF_DEPLOYMENT:
        return Entry(kind, "", "", hour_ms, draw(counts_of(OF_DEPLOYMENT[kind])).encode())
    model = draw(st.sampled_from([CHAMPION, CHAMPION, CHALLENGER, ""]))
    if kind is Kind.FLOW or not model:
        return Entry(kind, model, "", hour_ms, draw(counts_of([*OF_FLOW, *OF_QUALITY])).encode())
    body = Counts()
    for one in draw(st.lists(st.sampled_from(summaries), min_size=1, max_size=3)):
        body.add(one, draw(st.sampled_from([1, 1, 1, -1])))
    if draw(st.booleans()):
        names = sorted(body.counts)
        for name in draw(st.lists(st.sampled_from(names), max_size=3)) if names else []:
            body.counts[name] = body.counts[name] * draw(NUMBERS)
        for name in draw(st.lists(st.sampled_from(sorted(body.sums)), max_size=3)) if body.sums else []:
            body.sums[name] = draw(TOTALS)
        for name in draw(st.lists(st.sampled_from(ATTRIBUTED), max_size=3)):
            body.sums[name] = draw(TOTALS)
        body.counts |= {EXPLAINED: np.array([draw(NUMBERS)]), LEFT_OUT: np.array([draw(NUMBERS)])}
    segment = draw(st.sampled_from(["", "", "plan=a", "plan=b"]))
    return Entry(kind, model, segment, hour_ms, body.encode())


def numbers_in(what: object) -> Iterator[float]:
    """Every floating-point number in a record that was made plain."""
    if isinstance(what, float):
        yield what
    elif isinstance(what, dict):
        for each in what.values():
            yield from numbers_in(each)
    elif isinstance(what, list | tuple):
        for each in what:
            yield from numbers_in(each)


def check(records: list[object]) -> None:
    for record in records:
        assert all(map(isfinite, numbers_in(msgspec.to_builtins(record)))), record
        if isinstance(record, Metric):
            assert record.value is not None or isinstance(record.reason, Reason), record
            assert record.n >= 0, record


def lived(view: View, log: list[Entry]) -> list[object]:
    """All that is said of these entries, half of which come when some of their windows are closed."""
    evaluator, half = Evaluator(MemoryTable()), len(log) // 2
    said: list[object] = []
    for number, (part, event_ms) in enumerate(
        [(log[:half], 2 * HOUR_MS), (log[half:], 30 * DAY_MS), ([], 31 * DAY_MS)], start=1
    ):
        evaluator.step(Summary(NAME, tuple(part)), view)
        for topic in (Topic.REQUESTS, Topic.PREDICTIONS, Topic.ACTUALS, Topic.OUTCOMES):
            told = evaluator.step(progress(number * 100_000, event_ms, topic=topic, deployment=NAME), view)
            said += [record for each in fields(Effects) for record in getattr(told, each.name)]
        evaluator.flush()
    return said


@pytest.mark.parametrize("baseline", ["with a baseline", "without one"])
@pytest.mark.parametrize("target", [TargetType.BINARY, TargetType.MULTICLASS, TargetType.REGRESSION])
@settings(deadline=None, max_examples=20)
@given(data=st.data())
def test_all_that_is_said_of_odd_counts_is_finite_and_a_value_or_a_reason(
    data: st.DataObject, target: TargetType, baseline: str
) -> None:
    view, summaries = world(target, full=baseline == "with a baseline")
    log = [ONE_ROW, *data.draw(st.lists(entries(summaries), min_size=1, max_size=8))]
    said = lived(view, log)
    assert any(isinstance(record, Metric) for record in said)
    check(said)
    buckets = Buckets(
        (Series(entry.kind, entry.model, entry.segment), entry.bucket_ms, Counts.decode(entry.body)) for entry in log
    )
    reader = Reader(buckets, view.known, view.package, watermark_ms=30 * DAY_MS)
    windows = [Range(0, 4 * HOUR_MS), Range(2 * HOUR_MS, 4 * HOUR_MS)]
    values = list(reader.metrics(windows))
    check([*values, *(up for one in values if (up := reader.rolled_up(one)))])
    for compared in reader.compared(windows[1:], Ago.PREVIOUS):
        check([compared.metric, compared.before, compared])
