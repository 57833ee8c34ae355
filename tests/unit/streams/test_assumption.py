"""Who reads an estimate reads what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitors.estimate import ASSUMPTION
from monitors.rollup import Comparison
from schemas.observation import AccuracyState, Metric
from streams.cli.metrics import _on_its_own, _show

if TYPE_CHECKING:
    import pytest


def shown(state: AccuracyState, capsys: pytest.CaptureFixture[str], *, json: bool = False) -> str:
    metric = Metric("d", "m", "auc", 0, 86_400_000, 9, value=0.8, state=state, estimate=0.8, bound=0.004)
    _show("d", [Comparison(metric, None, None)], None, _on_its_own, json=json)
    return capsys.readouterr().out


def test_an_estimate_is_followed_by_its_assumption_and_realised_values_are_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ASSUMPTION in shown(AccuracyState.ESTIMATE, capsys)
    assert ASSUMPTION not in shown(AccuracyState.PARTIAL, capsys)
    assert ASSUMPTION not in shown(AccuracyState.FINAL, capsys)
    assert ASSUMPTION not in shown(AccuracyState.ESTIMATE, capsys, json=True)


def test_the_bound_of_a_binned_value_is_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert "0.8 ±0.004 by bins" in shown(AccuracyState.FINAL, capsys)
