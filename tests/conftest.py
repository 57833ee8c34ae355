"""One Kafka broker and one Redis for the whole run: tests keep apart by prefixes and topic names of their own.

No test is timed: Hypothesis would fail an example that takes 200 ms, on a busy machine any of them.
"""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from infra.local.stack import Stack, down, up

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("stack")
    yield up(home)
    down(home)
