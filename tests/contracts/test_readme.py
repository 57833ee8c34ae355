"""Every test that the README names exists, where it says: a table of tests that are not there proves nothing."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
USUAL = "tests/unit/monitors"
"""Where tests without a folder are, as the README says; other pages name a file that is somewhere in `tests`."""

NAMED = re.compile(r"`((?:tests/[\w/.-]*|test_\w+\.py)(?:::\w+)?)`")


@cache
def named_in(file: Path) -> frozenset[str]:
    return frozenset(node.name for node in ast.parse(file.read_bytes()).body if isinstance(node, ast.FunctionDef))


def absent(text: str, usual: str = USUAL) -> list[str]:
    """What a text names as a test, a file or a folder of tests, and what is none."""
    found = []
    for name in NAMED.findall(text):
        place, _, test = name.partition("::")
        paths = [ROOT / place] if "/" in place else [ROOT / usual / place] if usual else (ROOT / "tests").rglob(place)
        if not any(path.exists() and (not test or test in named_in(path)) for path in paths):
            found.append(name)
    return found


def test_every_test_that_the_readme_names_exists() -> None:
    assert absent(README.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_every_test_that_a_page_of_the_docs_names_exists(page: Path) -> None:
    assert absent(page.read_text(encoding="utf-8"), usual="") == []


def test_the_readme_names_a_test_for_each_of_many_features() -> None:
    assert len(set(NAMED.findall(README.read_text(encoding="utf-8")))) > 60


@pytest.mark.parametrize(
    "name", ["tests/streams/test_gone.py", "test_gone.py", "test_drift.py::test_gone", "tests/gone"]
)
def test_a_name_of_nothing_is_found(name: str) -> None:
    assert absent(f"| drift | how | `test_drift.py`, `{name}` |") == [name]
