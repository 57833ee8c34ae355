"""One Kafka broker and one Redis for the whole run: tests keep apart by prefixes and topic names of their own."""

from collections.abc import Iterator

import pytest

from infra.local.stack import Stack, down, up


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("stack")
    yield up(home)
    down(home)
