"""Where the evaluator's state lives: one partition of a table, as keys and values that the shell commits.

Every value starts with a format byte. A worker refuses a newer format than it knows: reading on would mean guessing.
Keys are parts behind a one-byte kind; each part says its type and length, so no name can run into the next part, and
whole numbers sort by value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

FORMAT = 3  # 1 had an alert for each rule and feature, 2 no buckets that were added up with age
_SIGN = 1 << 63


class StateFormatError(ValueError):
    """A stored value is of a newer format than this program knows, or is none of ours."""


class TablePartition(Protocol):
    """What the shell gives: reads see the writes staged before them. `set` to None deletes; `scan` is in any order."""

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""

    def set(self, key: bytes, value: bytes | None) -> None:
        """Stage a value; None is a tombstone."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Every pair whose key starts so."""


class MemoryTable:
    """A table partition in a dict, for tests and for reading a log outside Kafka."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        return self.rows.get(key)

    def set(self, key: bytes, value: bytes | None) -> None:
        """Put a value; None deletes."""
        if value is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = value

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Every pair whose key starts so, as it was when asked."""
        return iter([pair for pair in self.rows.items() if pair[0].startswith(prefix)])


def key_of(kind: bytes, *parts: str | int) -> bytes:
    """A key of a one-byte kind and its parts.

    >>> parts_of(key_of(b"b", "churn", "plan=a", -5))
    ('churn', 'plan=a', -5)
    """
    packed = [kind]
    for part in parts:
        if isinstance(part, int):
            packed.append(b"i" + (part + _SIGN).to_bytes(8, "big"))
        else:
            text = part.encode()
            packed.append(b"s" + len(text).to_bytes(4, "big") + text)
    return b"".join(packed)


def parts_of(key: bytes) -> tuple[str | int, ...]:
    """The parts that `key_of` packed."""
    parts: list[str | int] = []
    at = 1
    while at < len(key):
        if key[at : at + 1] == b"i":
            parts.append(int.from_bytes(key[at + 1 : at + 9], "big") - _SIGN)
            at += 9
        else:
            end = at + 5 + int.from_bytes(key[at + 1 : at + 5], "big")
            parts.append(key[at + 5 : end].decode())
            at = end
    return tuple(parts)


def sealed(body: bytes) -> bytes:
    """The body behind its format byte."""
    return bytes([FORMAT]) + body


def opened(value: bytes) -> bytes:
    """The body of a stored value; StateFormatError for a newer format.

    >>> opened(sealed(b"state"))
    b'state'
    """
    if not value or value[0] > FORMAT:
        found = value[0] if value else "none"
        message = f"stored evaluator state has format {found}, this program reads up to {FORMAT}; upgrade the worker"
        raise StateFormatError(message)
    return value[1:]
