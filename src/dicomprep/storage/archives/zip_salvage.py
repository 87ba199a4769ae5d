"""The members of a zip file that has lost its directory, by the headers before them, as far as they go on.

Most servers that pack while they send put size and checksum behind the data: these are then read to find their end.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from dicomprep.errors import ErrorCode, InputError
from dicomprep.storage.archives.decoding import PIECE, pieces_of
from dicomprep.storage.archives.members import FREE_BYTES, Member, Packing
from dicomprep.storage.archives.zip_entries import LOCAL, METHODS, entry_name, large_values, reading_fault
from dicomprep.storage.source import SourceFile

__all__ = ["members_without_directory"]

_SIZES_FOLLOW = 8
_DEFLATED = 8
_DESCRIPTOR = b"PK\7\x08"


class _Extent(NamedTuple):
    """What the data of a member come to."""

    packed: int
    size: int
    crc: int
    end: int
    """Where what follows them begins."""


def members_without_directory(file: SourceFile) -> Iterator[Member]:
    """Every whole member but folders; what lies between members ends them.

    Raises InputError `corrupt_archive` with the name of one that is cut.
    """
    at = 0
    while (header := file.read_range(at, LOCAL.size))[:4] == b"PK\3\4" and len(header) == LOCAL.size:
        member, at = _read_member(file, at, LOCAL.unpack(header))
        if member is not None:
            yield member


def _read_member(file: SourceFile, at: int, fields: tuple[int, ...]) -> tuple[Member | None, int]:
    """(a member, None for a folder; where the next one begins)."""
    _, _, flags, method, _, _, crc, packed, size, name_length, extra_length = fields
    names = file.read_range(at + LOCAL.size, name_length + extra_length)
    name = entry_name(names[:name_length], flags, 0)
    begin = at + LOCAL.size + name_length + extra_length
    size, packed = large_values(names[name_length:], size, packed)
    extent: _Extent | None = _Extent(packed, size, crc, begin + packed)
    if flags & _SIZES_FOLLOW and not packed:
        empty = _confirm(file, begin, _Extent(0, 0, 0, 0))
        extent = empty or (_measure(file, begin) if method == _DEFLATED and not flags & 1 else None)
    if extent is None or extent.end > file.size:
        message = f"it has no directory, and is cut within {name[:200]!r}: only the members before that are read"
        raise InputError(ErrorCode.CORRUPT_ARCHIVE, message)
    if name.endswith("/"):
        return None, extent.end
    packing = Packing(at, extent.packed, METHODS.get(method, ""), extent.crc, is_local=True)
    tag = f"crc32:{extent.crc:08x}"
    return Member(name, extent.size, packing, tag=tag, fault=reading_fault(flags, method)), extent.end


def _measure(file: SourceFile, begin: int) -> _Extent | None:
    """Inflate what begins there, up to its end, and compare it with what is said behind it; None where it is cut."""
    stream, size, crc, fed = zlib.decompressobj(-zlib.MAX_WBITS), 0, 0, 0
    for piece in pieces_of(file, begin, file.size - begin):
        fed += len(piece)
        data = piece
        while data and not stream.eof:
            try:
                out = stream.decompress(data, PIECE)
            except zlib.error:
                return None
            size, crc, data = size + len(out), zlib.crc32(out, crc), stream.unconsumed_tail
            if size > FREE_BYTES + 100 * fed:
                return None
        if stream.eof:
            packed = fed - len(stream.unused_data)
            return _confirm(file, begin + packed, _Extent(packed, size, crc, 0))
    return None


def _confirm(file: SourceFile, at: int, found: _Extent) -> _Extent | None:
    """With the end of the descriptor behind the data, which says the same of them; None where it does not."""
    raw = file.read_range(at, 24)
    start = 4 if raw.startswith(_DESCRIPTOR) else 0
    for layout in ("<3I", "<I2Q"):
        wanted = struct.calcsize(layout)
        stated = struct.unpack(layout, raw[start : start + wanted].ljust(wanted, b"\0"))
        if stated == (found.crc, found.packed, found.size):
            return found._replace(end=at + start + wanted)
    return None
