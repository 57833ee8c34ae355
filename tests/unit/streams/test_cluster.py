"""Whose local stores a worker's folder holds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from streams.cluster import claim
from streams.exits import CannotGoOn
from streams.tables import DiskStore, Position

ROW = {b"a": b"1"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A worker's folder with a store in it, as one leaves it that ran on the cluster "old"."""
    made = tmp_path / "joiner" / "1"
    claim(made, "old")
    store = DiskStore(made / "join-changelog-0")
    store.write(ROW, Position(7, "topic"))
    store.close()
    return made


def kept(folder: Path) -> list[bytes | None]:
    store = DiskStore(folder / "join-changelog-0")
    try:
        return store.multi_get([*ROW])
    finally:
        store.close()


def test_stores_of_another_cluster_are_refused_with_a_sentence_and_left_as_they_are(folder: Path) -> None:
    with pytest.raises(CannotGoOn, match=rf"{folder} are of the Kafka cluster old, and the broker is of new") as said:
        claim(folder, "new")
    assert "`watchkeeper rebuild joiner`" in str(said.value)
    assert kept(folder) == [b"1"]
    claim(folder, "old")


def test_where_the_stores_were_removed_the_folder_is_anybodys(folder: Path) -> None:
    shutil.rmtree(folder / "join-changelog-0")
    claim(folder, "new")
    (folder / "join-changelog-0").mkdir()
    with pytest.raises(CannotGoOn, match="of the Kafka cluster new"):
        claim(folder, "old")


def test_stores_that_say_nothing_of_their_cluster_are_taken_over(folder: Path) -> None:
    (folder / "cluster").unlink()
    claim(folder, "new")
    assert kept(folder) == [b"1"]
    with pytest.raises(CannotGoOn):
        claim(folder, "old")
