"""A table against an earlier period invites no comparison that is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitors.periods import Ago
from monitors.rollup import Comparison
from schemas.observation import Metric, Reason, Status
from streams.cli.metrics import _on_its_own, _show

if TYPE_CHECKING:
    import pytest

DAY_MS = 86_400_000


def shown(found: Comparison, capsys: pytest.CaptureFixture[str]) -> str:
    _show("d", [found], Ago.YEAR, _on_its_own, json=False)
    return capsys.readouterr().out


def test_the_distance_of_before_from_training_is_not_beside_the_distance_from_before(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = Metric("d", "m", "psi", DAY_MS, 2 * DAY_MS, 900, value=0.1536, status=Status.AT_RISK)
    then = Metric("d", "m", "psi", 0, DAY_MS, 900, value=1.29, status=Status.FAILING)
    said = shown(Comparison(now, then, None), capsys)
    assert "0.1536" in said
    assert "1.29" not in said
    assert "no rows" not in said


def test_a_rate_is_beside_the_rate_of_before(capsys: pytest.CaptureFixture[str]) -> None:
    now, then = (Metric("d", "m", "missing_rate", 0, DAY_MS, 900, value=value) for value in (0.25, 0.125))
    said = shown(Comparison(now, then, None), capsys)
    assert "0.25" in said
    assert "0.125" in said


def test_a_distance_from_no_rows_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    now = Metric("d", "m", "psi", 0, DAY_MS, 900, reason=Reason.NO_BASELINE)
    said = shown(Comparison(now, None, None), capsys)
    assert "no rows" in said
    assert "no baseline" in said
