"""HTML and SVG elements as values. Text is escaped unless an element made it, so that no name can become markup."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_VOID = frozenset({"meta", "br", "col"})


class Markup(str):
    """A finished piece of a document. Only `element` and `joined` make it."""

    __slots__ = ()


Child = str | None | Iterable["Child"]


def element(name: str, /, *children: Child, **attributes: str | float | None) -> Markup:
    """An element; attributes that are None are left out, "_" in a name is "-", and one at its end is dropped.

    >>> element("p", "1 < 2", element("b", "yes"), class_="note", aria_hidden="true")
    '<p class="note" aria-hidden="true">1 &lt; 2<b>yes</b></p>'
    """
    said = "".join(
        f' {word.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for word, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{said}>")
    return Markup(f"<{name}{said}>{joined(children)}</{name}>")


def joined(children: Child) -> Markup:
    """Elements and texts after each other.

    >>> joined(["a & b", [element("i", "c"), None]])
    'a &amp; b<i>c</i>'
    """
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, str):
        return Markup(escape(children))
    return Markup("".join(map(joined, children)))


def _number(value: str | float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
