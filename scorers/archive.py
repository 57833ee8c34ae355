"""The package's zip as bytes: the same files give the same bytes, and nothing is read that was not asked for.

Files are stored, not compressed, in the order of their names, with one fixed time and mode. So the archive, and with it
the package's digest, depends on nothing but the content (the bytes of a compressor change with its version), and an
archive cannot unpack to more than its own size.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

MOST_BYTES = 512 << 20

_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that zip knows
_MODE = 0o100644 << 16
_UNIX = 3
_END_BYTES = 22  # the record that ends a zip without a comment
_LOCATOR_BYTES = 20  # the record before it in a zip of the 64-bit kind
_DIRECTORY_BYTES = 4_096
_ENCRYPTED = 0x1


class ArchiveError(ValueError):
    """The bytes are not an archive of ours; the text says why."""


def pack(files: Mapping[str, bytes]) -> bytes:
    """The archive of these files.

    >>> pack({"b": b"2", "a": b"1"}) == pack({"a": b"1", "b": b"2"})
    True
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr, entry.create_system = _MODE, _UNIX
            archive.writestr(entry, files[name])
    if buffer.tell() > MOST_BYTES:
        raise ArchiveError(f"the archive has {buffer.tell()} bytes, {MOST_BYTES} are allowed")
    return buffer.getvalue()


def unpack(archive: bytes, most_bytes: Mapping[str, int]) -> dict[str, bytes]:
    """The files by name. `most_bytes` has the names that may be in there, with their greatest sizes.

    ArchiveError for any other name, a name twice, a larger or compressed file, and for damage.
    """
    _check_end(archive)
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            entries = opened.infolist()
            _check_names([entry.filename for entry in entries], most_bytes)
            for entry in entries:
                _check_entry(entry, most_bytes[entry.filename], len(archive))
            return {entry.filename: opened.read(entry) for entry in entries}
    except (zipfile.BadZipFile, NotImplementedError, EOFError, UnicodeDecodeError, ValueError) as error:
        raise error if isinstance(error, ArchiveError) else ArchiveError(f"the archive is damaged: {error}") from error


def _check_end(archive: bytes) -> None:
    """Bound what is parsed: the list of files is read as a whole before it can be counted."""
    if len(archive) > MOST_BYTES:
        raise ArchiveError(f"the archive has {len(archive)} bytes, {MOST_BYTES} are allowed")
    end = archive[-_END_BYTES:]
    if len(end) < _END_BYTES or not end.startswith(b"PK\x05\x06"):
        raise ArchiveError("the bytes are not a zip archive, or there is something after its end")
    if archive[-_END_BYTES - _LOCATOR_BYTES :].startswith(b"PK\x06\x07"):
        raise ArchiveError("the archive is a zip of the 64-bit kind")
    if int.from_bytes(end[12:16], "little") > _DIRECTORY_BYTES:
        raise ArchiveError("the archive lists too many files")


def _check_names(names: list[str], most_bytes: Mapping[str, int]) -> None:
    strangers = sorted(set(names) - set(most_bytes))
    if strangers:
        raise ArchiveError(f"the archive has a file that does not belong there: {strangers[0]!r}")
    if len(names) > len(set(names)):
        raise ArchiveError("the archive has a file twice")


def _check_entry(entry: zipfile.ZipInfo, most_bytes: int, archive_bytes: int) -> None:
    name = entry.filename
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & _ENCRYPTED:
        raise ArchiveError(f"{name} is compressed or encrypted; files must be stored as they are (zip -0)")
    if entry.file_size > min(most_bytes, archive_bytes):
        raise ArchiveError(f"{name} has {entry.file_size} bytes, {most_bytes} are allowed")
