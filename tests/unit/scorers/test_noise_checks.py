"""A package's record of its features without drift: what cannot be read is refused when it is registered."""

from __future__ import annotations

from math import inf, nan

import pytest
from msgspec.structs import replace

from schemas.package import (
    Baseline,
    CategoricalBins,
    Clipped,
    Feature,
    Noise,
    NullLaw,
    NumericBins,
    Package,
    Target,
    TargetType,
)
from scorers.checks import fault_of

CLIPPED = Clipped(0.0, 3.0, 4.0, 1.0, (0, 1 << 30, 1 << 30, 0))
NOISE = Noise((100, 200), {"psi": NullLaw(*[(1.0, 2.0)] * 5)})


def fault(clipped: Clipped = CLIPPED, table: Noise = NOISE, **baseline: object) -> str:
    bins = NumericBins((0.0, 1.0, 3.0), (0, 5, 5, 0, 0), clipped)
    known = replace(Baseline(10, {"age": bins}, noise={"age": table}, tolerance={"age": 500.0}), **baseline)
    return fault_of(Package("p", "1", "", Target("y", TargetType.REGRESSION), (Feature("age"),), "linear", known))


def test_a_whole_record_is_no_fault() -> None:
    assert fault() == ""


@pytest.mark.parametrize(
    ("clipped", "words"),
    [
        (replace(CLIPPED, low=nan), "not finite"),
        (replace(CLIPPED, sd=inf), "not finite"),
        (replace(CLIPPED, low=5.0), "do not fit"),
        (replace(CLIPPED, unit=2.0), "do not fit"),
        (replace(CLIPPED, unit=5.0), "no power of two"),
        (replace(CLIPPED, sums=(1,)), "1 sums where its bins ask for 4"),
        (replace(CLIPPED, sums=(0, -1, 0, 0)), "beyond what its rows can have"),
        (replace(CLIPPED, sums=(0, 1 << 63, 0, 0)), "beyond what its rows can have"),
    ],
)
def test_sums_that_would_not_be_exact_are_refused(clipped: Clipped, words: str) -> None:
    assert words in fault(clipped)


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        (Noise((), {}), "do not rise"),
        (Noise((0, 100), {}), "do not rise"),
        (Noise((200, 100), {}), "do not rise"),
        (Noise((100, 200), {"psi": NullLaw(*[(1.0,)] * 5)}), "not whole for psi"),
        (Noise((100, 200), {"psi": NullLaw(*[(1.0, nan)] * 5)}), "not whole for psi"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(noise: Noise, words: str) -> None:
    assert words in fault(table=noise)


def test_a_table_or_a_tolerance_of_nothing_is_refused() -> None:
    assert "noise table of 'height'" in fault(noise={"height": NOISE})
    assert "tolerance of 'height'" in fault(tolerance={"height": 500.0})
    assert "tolerance of 'age'" in fault(tolerance={"age": nan})


def test_a_table_of_predictions_or_actuals_needs_their_bins_and_must_be_whole() -> None:
    bins, broken = NumericBins((0.0,), (5, 5, 0)), Noise((200, 100), {})
    assert fault(prediction=bins, prediction_noise=NOISE, target=bins, target_noise=NOISE) == ""
    assert "noise table of the predictions, and no bins" in fault(prediction_noise=NOISE)
    assert "noise table of the actuals, and no bins" in fault(target_noise=NOISE)
    assert "of the predictions has a noise table whose window" in fault(prediction=bins, prediction_noise=broken)
    assert "of the actuals has a noise table whose window" in fault(target=bins, target_noise=broken)


def test_bins_of_actuals_must_be_those_of_the_target() -> None:
    features, classes = (Feature("age"),), Target("y", TargetType.BINARY, ("no", "yes"))

    def wrong(target: Target, bins: NumericBins | CategoricalBins) -> str:
        return fault_of(Package("p", "1", "", target, features, "linear", Baseline(target=bins)))

    edges, labels = NumericBins((0.0, 1.0), (0, 5, 0, 0)), CategoricalBins(("no", "yes"), (3, 2, 0, 0, 0))
    assert wrong(classes, labels) == wrong(Target("y", TargetType.REGRESSION), edges) == ""
    assert "needs categories for a binary target" in wrong(classes, edges)
    assert "needs edges for a regression target" in wrong(Target("y", TargetType.REGRESSION), labels)
    assert "other categories" in wrong(classes, replace(labels, categories=("yes", "no")))
    assert "of the target has 1 counts" in wrong(classes, replace(labels, counts=(1,)))
