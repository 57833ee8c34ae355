"""What of a topic belongs in the views."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from infra.views import readable, rows_of, rows_of_deployments
from monitors.table import key_of
from monitors.watermark import MARK
from monitors.windows import BUCKET
from schemas.observation import Heartbeat
from schemas.records import Records
from schemas.topics import Topic
from streams.roles.projector import rows_of_topic


def test_a_record_whose_key_is_no_text_is_left_out_and_its_neighbours_are_not() -> None:
    keys, values = [b"loans|m|psi", b"\xff\xfe|m|psi", b"cards|m|psi"], [b"1", b"2", None]
    expected = [("metrics:loans", "loans|m|psi", b"1"), ("metrics:cards", "cards|m|psi", None)]
    assert rows_of_deployments("metrics", values, keys) == expected
    assert rows_of("alerts", [b"1", b"2"], [b"\x80", b"a"]) == [("alerts", "a", b"2")]


def test_of_the_evaluators_table_the_newest_bucket_and_watermark_are_put_and_a_tombstone_removes() -> None:
    hot, gone = (key_of(BUCKET, "loans", "features", "m1", "plan=a|b", start_ms) for start_ms in (60_000, 0))
    rows = [
        (hot, b"1"),
        (gone, None),
        (key_of(b"w", "loans", 0, 60_000, "features", "m1", ""), b"said"),
        (hot, b"2"),
        (key_of(MARK, "loans"), b"late"),
        (b"bnonsense", b"3"),
    ]
    count = np.arange(len(rows))
    records = Records([key for key, _ in rows], [value for _, value in rows], count.astype(np.int32), count, count)
    assert rows_of_topic(Topic.WINDOWS_CHANGELOG, records) == [
        ("buckets:loans|features|m1|plan=a|b", "60000", b"2"),
        ("series:loans", "features|m1|plan=a|b", b"1"),
        ("buckets:loans|features|m1|plan=a|b", "0", None),
        ("watermarks", "loans", b"late"),
    ]


def test_a_row_that_cannot_be_read_is_left_out_and_said_once_and_the_others_are_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    beat = Heartbeat("scorer", "1", 7, 1, {"requests-0": 3}, {}, {"late": 3}, 1, 2)
    strange = [("a", b"{}"), ("b", b"\xff"), ("c", b"[" * 99_999), ("d", b'{"role": 7}')]
    rows = [*strange[:2], ("scorer/1", msgspec.json.encode(beat)), *strange[2:]]
    assert readable("heartbeats", rows, msgspec.json.Decoder(Heartbeat).decode) == {"scorer/1": beat}
    (record,) = caplog.records
    assert "heartbeats: 4 cannot be read and are left out, such as 'a'" in record.message
