"""Which commands the modules of this package define, told from their source, so that none is loaded to be listed.

A command is a module-level function under `@click.command(...)` or `@click.group(...)`; its name is the one given
there, or the function's, and its docstring begins with what it does. Loading all of them takes two seconds, reading
them a fiftieth of one.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_MAKERS = frozenset({"command", "group"})


class Listed(NamedTuple):
    """A command before it is loaded: the module that has it, its function there, and its docstring."""

    module: str
    function: str
    about: str


def commands(folder: Path) -> dict[str, Listed]:
    """All commands by name; modules whose name begins with an underscore have none."""
    found = {}
    for path in sorted(folder.glob("[!_]*.py")):
        for node in ast.parse(path.read_bytes()).body:
            if isinstance(node, ast.FunctionDef) and (name := _name(node)):
                found[name] = Listed(path.stem, node.name, ast.get_docstring(node) or "")
    return found


def _name(node: ast.FunctionDef) -> str:
    for made in node.decorator_list:
        if not (isinstance(made, ast.Call) and isinstance(made.func, ast.Attribute) and made.func.attr in _MAKERS):
            continue
        if isinstance(made.func.value, ast.Name) and made.func.value.id == "click":
            given = [*made.args[:1], *(word.value for word in made.keywords if word.arg == "name")]
            names = [value.value for value in given if isinstance(value, ast.Constant)]
            return str(names[0]) if names else node.name.replace("_", "-")
    return ""
