"""What holds for every format, found by itself; a new one adds an artifact of its own to `ARTIFACTS`, no more."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.package import Feature, Package, Target, TargetType
from scorers.formats import FormatError, formats
from scorers.package import build, load
from tests.unit.scorers.formats.artifacts import ARTIFACTS

FEATURES = (Feature("a", nullable=True), Feature("b", nullable=True))
TARGET = Target("y", TargetType.BINARY, classes=("no", "yes"))
ROWS = pl.DataFrame({"a": [0.25, -1.5, 3.0, 0.0], "b": [1.0, 2.0, -0.5, 0.0]})

every_format = pytest.mark.parametrize("name", sorted(formats()))


def package(name: str) -> Package:
    return Package("p", "1", "", TARGET, FEATURES, name)


def test_no_two_formats_keep_their_model_in_the_same_file() -> None:
    kinds = formats().values()
    assert len({kind.artifact_name for kind in kinds}) == len(kinds)
    assert not {kind.artifact_name for kind in kinds} & {"package.yaml", "baseline.json", "golden.json"}


@every_format
def test_a_model_survives_its_package(name: str) -> None:
    loaded = load(build(package(name), ARTIFACTS[name](), ROWS))
    predicted = loaded.model.predict(ROWS)
    assert predicted.shape == (4, 2)
    assert predicted.dtype == np.float64
    np.testing.assert_allclose(predicted.sum(axis=1), 1, rtol=1e-6)


@every_format
def test_no_rows_give_no_predictions(name: str) -> None:
    assert formats()[name].load(ARTIFACTS[name](), package(name)).predict(ROWS.clear()).shape == (0, 2)


@every_format
def test_the_cut_of_the_batch_does_not_matter(name: str) -> None:
    model = formats()[name].load(ARTIFACTS[name](), package(name))
    rng = np.random.default_rng(7)
    rows = pl.DataFrame(rng.normal(size=(257, 2)), schema=["a", "b"])
    whole = model.predict(rows)
    for size in (1, 3, 64):
        parts = [model.predict(rows.slice(first, size)) for first in range(0, rows.height, size)]
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=formats()[name].tolerance)


@every_format
def test_further_columns_and_their_order_do_not_matter(name: str) -> None:
    model = formats()[name].load(ARTIFACTS[name](), package(name))
    shuffled = ROWS.select(pl.lit("z").alias("z"), "b", "a")
    np.testing.assert_array_equal(model.predict(shuffled), model.predict(ROWS))


@every_format
@given(junk=st.binary(max_size=200))
def test_an_artifact_that_is_none_is_refused(name: str, junk: bytes) -> None:
    with pytest.raises(FormatError):
        formats()[name].load(junk, package(name))


@every_format
def test_a_cut_off_artifact_is_refused(name: str) -> None:
    artifact = ARTIFACTS[name]()
    for left in range(0, len(artifact) - 1, 5):
        with pytest.raises(FormatError):
            formats()[name].load(artifact[:left], package(name))
