"""A package whose principal components would stop the observer is refused before it is served."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from schemas.package import Package, Pca
from scorers.checks import fault_of
from tests.unit.scorers import makers

GOOD = Pca(("age", "wait"), (1.0, 2.0), (1.0, 0.5), (1 << 20).to_bytes(4, "little", signed=True) * 2, 1.0, 0.5)


def test_components_that_fit_are_accepted() -> None:
    assert fault_of(with_components(GOOD)) == ""


@pytest.mark.parametrize(
    ("pca", "words"),
    [
        (replace(GOOD, features=()), "do not fit"),
        (replace(GOOD, means=(1.0,)), "do not fit"),
        (replace(GOOD, components=GOOD.components[:-1]), "do not fit"),
        (replace(GOOD, means=(1.0, float("nan"))), "not finite"),
        (replace(GOOD, scales=(1.0, 0.0)), "not above 0"),
        (replace(GOOD, error_sd=0.0), "not above 0"),
        (replace(GOOD, components=b"\x01\x00\x10\x00" * 2), "longer than 1"),
        (replace(GOOD, features=GOOD.features * 200), "more than 300"),
    ],
)
def test_components_that_cannot_be_used_are_named(pca: Pca, words: str) -> None:
    assert words in fault_of(with_components(pca))


def with_components(pca: Pca) -> Package:
    package = makers.package()
    return replace(package, baseline=replace(package.baseline, pca=pca))
