"""What `watchkeeper export` says while it works and when it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.cli._exporting import Pace
from streams.cli.export import Exported, _tell

if TYPE_CHECKING:
    import pytest

DAY_MS = 86_400_000


def test_into_a_pipe_the_pace_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with Pace() as pace:
        pace.begin("rows", 3)
        pace.advance(3)
    assert capfd.readouterr() == ("", "")


def test_only_times_are_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    def said(since: int | None, until: int | None) -> str:
        _tell(Exported("loans", "rows.parquet", since, until, 9, 0, 0, {}), [])
        return capsys.readouterr().out

    assert "from the beginning to now; 0 columns" in said(None, None)
    assert said(DAY_MS, 2 * DAY_MS).count(" UTC") == 2
