"""What `watchkeeper challengers` says of the rows that a verdict rests on."""

from __future__ import annotations

import msgspec
import pytest

from schemas.observation import Finding, Verdict
from streams.cli._report_truth import beside
from streams.cli.challengers import left_out, rows


@pytest.mark.parametrize(
    ("cluster", "clusters", "said"),
    [
        ("", None, "12,345"),
        ("customer", 610.4, "12,345 (worth 610 by customer)"),
        ("customer", 23.0, "12,345 (worth 23 by customer, 100 are needed)"),
    ],
)
def test_rows_stand_with_what_they_are_worth_where_they_belong_together(
    cluster: str, clusters: float | None, said: str
) -> None:
    one = Verdict("d", "old", "new", 0, 1, 1, "brier", Finding.UNDECIDED, 12_345, cluster=cluster, clusters=clusters)
    assert rows(one) == said
    assert left_out(msgspec.structs.replace(one, unclustered=1_372)) == "without cluster 10.00%"
    (shown,) = beside([one], {}, "old")
    assert ("worth" in shown.saved.note) is ("worth" in said)
