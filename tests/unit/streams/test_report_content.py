"""What the report says of windows: thresholds of each feature, other measures, load and times, lag."""

from __future__ import annotations

import numpy as np
import pytest

from infra.report.content import Behind, Report
from monitors.bins import LATENCY_BINS, bin_count
from monitors.periods import Range
from monitors.rollup import Buckets, Reader
from monitors.summary import Summary
from monitors.windows import Series
from schemas.deployment import DAY_MS, Deployment, Limits, Model, Settings, Thresholds
from schemas.observation import Heartbeat, Kind
from schemas.package import Baseline, Feature, NumericBins, Package, Target, TargetType
from streams.cli._health import standing_of
from streams.cli._report import content_of
from streams.cli._report_lag import behind

FEATURES = (Feature("age"), Feature("income"))
TARGET = Target("price", TargetType.REGRESSION)
BINS = NumericBins((0.0, 1, 2, 3, 4, 5), (0, *[10_000] * 5, 0, 0))
PACKAGE = Package("m", "1", "m", TARGET, FEATURES, "linear", Baseline(50_000, {"age": BINS, "income": BINS}))
SHIFTED = np.array([0, 800, 1_200, 2_000, 2_600, 3_400, 0, 0])  # PSI 0.24


def report(settings: Settings) -> Report:
    """Of one day in which both features are shifted."""
    of = Deployment("d", 1, TARGET, FEATURES, Model("m", "m", "1"), settings=settings)
    times = np.zeros(bin_count(LATENCY_BINS), np.int64)
    times[40:60] = 500
    answers = {"rows": np.array([10_000]), "minutes:0": np.full(60, 100), "response_ms": times, "execution_ms": times}
    rows = [
        (
            Series(Kind.FEATURES, "m", ""),
            0,
            Summary({"rows": np.array([10_000])} | {f"feature:{one.name}": SHIFTED for one in FEATURES}),
        ),
        (Series(Kind.PREDICTIONS, "m", ""), 0, Summary(answers)),
    ]
    reader = Reader(Buckets(rows), of, {"m": PACKAGE}.get, watermark_ms=3 * DAY_MS)
    standing = standing_of(of, FEATURES, (), (), package=PACKAGE)
    return content_of(reader, of, PACKAGE, standing, (), said=(), over=Range(0, DAY_MS), period=None, now_ms=3 * DAY_MS)


def test_each_feature_is_shown_by_its_own_thresholds() -> None:
    thresholds = Thresholds(statistics={"psi": Limits(0.15, 0.3)}, features={"income": {"psi": Limits(0.4, 0.8)}})
    found = report(Settings(thresholds=thresholds))
    by_name = {one.name: one for one in found.features}
    assert by_name["age"].drift.levels == (("at risk", 0.15), ("failing", 0.3))
    assert by_name["income"].drift.levels == (("at risk", 0.4), ("failing", 0.8))
    assert (by_name["age"].status, by_name["income"].status) == ("at risk", "passing")
    drift = by_name["age"].newest
    assert drift is not None
    assert drift.value is not None
    assert found.weighted_drift == pytest.approx((drift.value / 0.3 + drift.value / 0.8) / 2)


def test_other_measures_of_drift_are_told_of_each_feature() -> None:
    plain = report(Settings())
    assert {one.statistics for one in plain.features} == {()}
    found = report(Settings(drift_statistics=("psi", "hellinger", "chi_squared")))
    for one in found.features:
        told = dict(one.statistics)
        assert list(told) == ["chi squared", "chi squared p", "hellinger"]
        assert told["hellinger"].status == "at risk"
        assert "psi" not in dict(one.quality)
        assert "missing rate" in dict(one.quality)


def test_load_and_times_are_all_shown() -> None:
    shown = {one.name for one in report(Settings()).health}
    times = {f"{what} ms {name}" for what in ("response", "execution") for name in ("p50", "p90", "p95", "p99")}
    load = {"load per minute median", "load per minute peak", "requests per s"}
    assert shown >= {"requests", "predictions"} | times | load


def test_lag_is_of_the_workers_that_are_heard_and_doubted_where_none_is() -> None:
    def heard(role: str, worker: str, at_ms: int, **lags: int) -> Heartbeat:
        places = {f"requests-{place[1:]}": lag for place, lag in lags.items()}
        return Heartbeat(role, worker, at_ms, 0, places, {}, {}, 0, 0)

    workers = [
        heard("scorer", "1", 100_000, p0=3, p1=1_200),
        heard("scorer", "2", 99_000, p2=0),
        heard("scorer", "gone", 10_000, p1=50_000),
        heard("joiner", "1", 40_000, p0=7),
    ]
    assert behind(workers, 101_000) == (
        Behind("joiner", 0, "7 (requests-0: 7)", "not heard of for 61 s"),
        Behind("scorer", 2, "1,203 (requests-1: 1,200)", ""),
    )
    assert behind((), 0) == ()
