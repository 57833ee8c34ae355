"""The shelf: one model that cannot be loaded never ends a worker."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from infra.artifacts import ArtifactStore
from scorers import package
from streams.shelf import Shelf


class Panic(BaseException):
    """As a library in Rust gives it: no Exception."""


class BadStore(ArtifactStore):
    """Gives an archive whose reading fails in a way that nobody foresaw."""

    def get(self, digest: str) -> bytes:
        raise {"panic": Panic("index out of bounds"), "memory": MemoryError()}[digest]


@pytest.mark.parametrize("digest", ["panic", "memory"])
def test_a_model_that_fails_to_load_in_an_unforeseen_way_cannot_be_served_and_that_is_all(
    digest: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = Shelf(BadStore(tmp_path), lambda _deployment: ())
    with caplog.at_level(logging.ERROR):
        assert shelf.model(digest) is None
        assert shelf.model(digest) is None
    said = [record.message for record in caplog.records if digest in record.message]  # threads of other tests log, too
    assert said == [f"model {digest} cannot be served: it could not be loaded"]


def test_an_archive_that_is_no_package_cannot_be_served_either(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    digest = store.put(b"no package")
    with pytest.raises(package.PackageError):
        package.load(b"no package")
    assert Shelf(store, lambda _deployment: ()).model(digest) is None
