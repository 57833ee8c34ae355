"""Clusters: by the row and the key alone, and a key that is none is refused."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from schemas.clusters import CELLS, cells_of
from schemas.deployment import Settings
from schemas.expectations import CallerField
from scorers.clusters import cluster_fault, clusters_of
from scorers.guardrails import settings_fault
from tests.unit.scorers import makers

IDS = ["a", "b", "c", "d"]


def cells(key: str, features: pl.DataFrame, **callers: list[str | None]) -> list[int]:
    asked = {CallerField(field): texts for field, texts in callers.items()}
    found = clusters_of(Settings(cluster=key), features, asked, IDS)
    assert found is not None
    return list(map(int, found))


@pytest.mark.parametrize(
    "values",
    [
        pl.Series("key", ["anna", "ben", "anna", None]),
        pl.Series("key", [7.5, 8.5, 7.5, None]),
        pl.Series("key", [7.5, 8.5, 7.5, np.nan]),
        pl.Series("key", [True, False, True, None]),
    ],
)
def test_equal_values_are_one_cluster_and_a_row_without_is_one_of_its_own(values: pl.Series) -> None:
    first, second, third, alone = cells("key", pl.DataFrame([values]))
    assert first == third
    assert len({first, second, alone}) == 3
    reversed_order = cells("key", pl.DataFrame([values.reverse()]))
    assert reversed_order[1:] == [third, second, first]
    assert reversed_order[0] not in {first, second, alone}, "it is of another association"


def test_who_asked_can_be_the_cluster() -> None:
    features = pl.DataFrame({"age": [1.0] * 4})
    web, app, again, alone = cells("consumer", features, consumer=["web", "app", "web", None])
    assert web == again
    assert len({web, app, alone}) == 3
    assert len(set(cells("consumer", features))) == 4, "nobody said who: every row is alone"


def test_a_row_has_the_same_cell_in_every_batch() -> None:
    names = [f"customer {number}" for number in range(4)]
    whole = cells("key", pl.DataFrame({"key": names}))
    assert whole == [int(cells_of([name.encode()])[0]) for name in names]
    assert whole == cells("key", pl.DataFrame({"key": names[::-1]}))[::-1]


def test_customers_are_spread_over_all_cells_evenly() -> None:
    found = np.bincount(cells_of([f"customer {number}".encode() for number in range(100_000)]), minlength=CELLS)
    expected = 100_000 / CELLS
    assert 0.85 < ((found - expected) ** 2).sum() / expected / (CELLS - 1) < 1.15  # chi-squared over its mean


def test_without_a_key_there_is_nothing() -> None:
    assert clusters_of(Settings(), makers.ROWS, {}, IDS) is None


@pytest.mark.parametrize("key", ["", "carrier", "consumer", "remote_ip"])
def test_features_and_callers_can_be_keys(key: str) -> None:
    assert settings_fault(Settings(cluster=key), makers.FEATURES) == ""


def test_any_other_key_is_refused_by_name() -> None:
    said = settings_fault(Settings(cluster="customer"), makers.FEATURES)
    assert said == cluster_fault(Settings(cluster="customer"), [each.name for each in makers.FEATURES])
    assert said.startswith("cluster names customer, which is neither a feature")
