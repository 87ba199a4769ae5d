"""The members of a zip file by its central directory, which is read a piece at a time (APPNOTE 6.3.10, section 4)."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from dicomprep.errors import ErrorCode, InputError
from dicomprep.storage.archives.members import Member, MemberKind, Packing
from dicomprep.storage.archives.zip_entries import METHODS, corrupt, entry_name, large_values, reading_fault
from dicomprep.storage.archives.zip_salvage import members_without_directory
from dicomprep.storage.source import SourceFile

__all__ = ["zip_members"]

_END, _END_64, _LOCATOR = struct.Struct("<4s4H2IH"), struct.Struct("<4sQ2H2I4Q"), struct.Struct("<4sIQI")
_ENTRY = struct.Struct("<4s4B4H3I5H2I")
_MAX_COMMENT_BYTES = 2**16
_BLOCK = 2**20


class _Directory(NamedTuple):
    offset: int
    """Where it lies in the file."""
    size: int
    shift: int
    """What lies before the archive: offsets do not count it."""


def zip_members(file: SourceFile) -> Iterator[Member]:
    """Every entry but folders, in the order of the directory. Raises InputError `corrupt_archive`.

    Where there is no directory, as after a download that broke off, in the order of what lies in the file.
    """
    try:
        directory = _find_directory(file)
    except InputError as fault:
        if fault.code is ErrorCode.CORRUPT_ARCHIVE:
            yield from members_without_directory(file)
        raise
    at, end, block = directory.offset, directory.offset + directory.size, b""
    while at < end:
        block = file.read_range(at, min(_BLOCK, end - at))
        used = 0
        for member, length in _entries(block, directory.shift):
            used += length
            if member is not None:
                yield member
        if not used:
            raise corrupt("its directory is damaged")
        at += used


def _find_directory(file: SourceFile) -> _Directory:
    tail_at = max(0, file.size - _MAX_COMMENT_BYTES - _END.size)
    tail = file.read_range(tail_at, file.size - tail_at)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        raise corrupt("it has no directory at its end: it is cut")
    _, disk, first_disk, _, _, size, offset, _ = _END.unpack_from(tail, at)
    if disk not in (first_disk, 0xFFFF) or disk not in (0, 0xFFFF):
        raise InputError(ErrorCode.UNSUPPORTED_ARCHIVE, "it is one part of an archive in several files")
    end = tail_at + at
    large = _find_large(file, end)
    if large is not None:
        end, size, offset = large
    shift = end - size - offset
    if shift < 0 or size > end:
        raise corrupt("its directory does not lie where it says")
    return _Directory(offset + shift, size, shift)


def _find_large(file: SourceFile, end: int) -> tuple[int, int, int] | None:
    """(where it lies, size and offset of the directory) by the record of ZIP64, if there is one."""
    locator = file.read_range(max(0, end - _LOCATOR.size), _LOCATOR.size)
    if len(locator) < _LOCATOR.size or locator[:4] != b"PK\6\7":
        return None
    stated = _LOCATOR.unpack(locator)[2]
    for at in (end - _LOCATOR.size - _END_64.size, stated):
        record = file.read_range(at, _END_64.size) if 0 <= at <= file.size else b""
        if len(record) == _END_64.size and record[:4] == b"PK\6\6":
            *_, size, offset = _END_64.unpack(record)
            return at, size, offset
    raise corrupt("its directory (ZIP64) is not there: it is cut")


def _entries(block: bytes, shift: int) -> Iterator[tuple[Member | None, int]]:
    """(entry, its length) of those that lie in a block as a whole; None for a folder."""
    at = 0
    while at + _ENTRY.size <= len(block):
        if block[at : at + 4] != b"PK\1\2":
            raise corrupt("its directory is damaged")
        fields = _ENTRY.unpack_from(block, at)
        name, extra, comment = fields[12:15]
        length = _ENTRY.size + name + extra + comment
        if at + length > len(block):
            return
        start = at + _ENTRY.size
        yield _member(fields, block[start : start + name], block[start + name : start + name + extra], shift), length
        at += length


def _member(fields: tuple[int, ...], raw: bytes, extra: bytes, shift: int) -> Member | None:
    system, flags, method, crc, packed, size = fields[2], fields[5], fields[6], *fields[9:12]
    attributes, offset = fields[17], fields[18]
    size, packed, offset = large_values(extra, size, packed, offset)
    name = entry_name(raw, flags, system)
    if name.endswith("/"):
        return None
    packing = Packing(offset + shift, packed, METHODS.get(method, ""), crc, is_local=True)
    fault = reading_fault(flags, method)
    return Member(name, size, packing, _kind(system, attributes), f"crc32:{crc:08x}", fault)


def _kind(system: int, attributes: int) -> str:
    """By the mode that Unix gives an entry."""
    form = attributes >> 28 if system == 3 else 0
    if form == 0o12:
        return MemberKind.LINK
    return MemberKind.FILE if form in (0, 0o10) else MemberKind.SPECIAL
