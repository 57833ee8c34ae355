"""Which exit code an end has: what a restart can mend, and what it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException

from infra.topics import LayoutError
from monitors.summary import SummaryFormatError
from monitors.table import StateFormatError
from streams.exits import CannotGoOn, Exit, Fenced, OutcomeUnknown, Stuck, exit_code
from streams.tables import DiskStore, Position, StoreFormatError, StoreHeldError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Fenced("a twin"), Exit.FENCED),
        (KafkaException(KafkaError(KafkaError.FENCED_INSTANCE_ID)), Exit.FENCED),
        (KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN)), Exit.KAFKA),
        (OutcomeUnknown("?"), Exit.KAFKA),
        (Stuck("."), Exit.KAFKA),
        (TimeoutError(), Exit.KAFKA),
        (LayoutError("partitions"), Exit.LAYOUT),
        (StoreFormatError("newer"), Exit.LAYOUT),
        (StateFormatError("newer"), Exit.LAYOUT),
        (SummaryFormatError("newer"), Exit.LAYOUT),
        (CannotGoOn("no offsets"), Exit.LAYOUT),
        (KeyError("a bug"), Exit.CRASH),
        (StoreHeldError("in use"), Exit.CRASH),
    ],
)
def test_an_end_has_the_code_of_what_mends_it(error: BaseException, code: Exit) -> None:
    assert exit_code(error) is code


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    store.write({}, Position(format=99))
    store.close()
    with pytest.raises(StoreFormatError, match="format 99"):
        DiskStore(tmp_path / "store")


def test_a_store_that_is_in_use_says_by_whom_and_where(tmp_path: Path) -> None:
    held = DiskStore(tmp_path / "store")
    try:
        with pytest.raises(StoreHeldError, match=rf"{tmp_path}/store is in use by process \d+ \(this one\)"):
            DiskStore(tmp_path / "store")
    finally:
        held.close()
