"""What counting in bins may cost is told with the metric, and older records without it stay readable."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl
import pytest
from sklearn import metrics as judge

from monitors.baseline import build_baseline
from monitors.metrics import METRICS
from monitors.valuation import metrics_of_window
from monitors.windows import Series, WindowId
from schemas.deployment import DAY_MS, Deployment, Model
from schemas.observation import Kind, Metric
from tests.unit.monitors.fold_frames import package, said
from tests.unit.monitors.test_metrics import BINARY, accuracy_summary


def test_a_window_tells_how_far_the_area_of_its_rows_can_be_from_what_it_says() -> None:
    rng = np.random.default_rng(6)
    actual = rng.random(1_000) < 0.3
    scores = np.where(actual, 0.55, 0.45) + rng.uniform(-0.2, 0.2, 1_000)
    labels = np.where(actual, "yes", "no").tolist()
    of = package(BINARY, build_baseline((), BINARY, pl.DataFrame(), labels, scores))
    summary = accuracy_summary(BINARY, labels, [said(score) for score in scores.tolist()], of.baseline)
    window = WindowId(0, DAY_MS, Series(Kind.ACCURACY, "m", ""))
    deployment = Deployment("d", 1, BINARY, (), Model("m", "m", "1"))
    told = metrics_of_window(
        window, summary, deployment=deployment, package=of, definitions=METRICS.values(), closed=True
    )
    bounds = {one.metric: (one.value, one.bound) for one in told if one.bound is not None}
    assert set(bounds) == {"auc", "gini"}
    area, bound = bounds["auc"]
    assert area is not None
    assert bound is not None
    exact = judge.roc_auc_score(actual, scores)
    assert 0 < abs(area - exact) <= bound < 0.02
    assert bounds["gini"] == pytest.approx((2 * area - 1, 2 * bound))


def test_a_metric_of_before_has_no_bound_and_one_without_is_written_as_before() -> None:
    older = b'{"deployment":"d","model":"m","metric":"auc","window_start_ms":0,"window_end_ms":1,"n":2,"value":0.75}'
    found = msgspec.json.decode(older, type=Metric)
    assert found.bound is None
    assert msgspec.json.encode(found) == older
