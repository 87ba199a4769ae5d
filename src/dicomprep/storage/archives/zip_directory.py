"""The members of a zip file by its central directory, which is read a piece at a time (APPNOTE 6.3.10, section 4)."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from dicomprep.errors import ErrorCode, InputError
from dicomprep.storage.archives.members import Member, MemberKind, Packing
from dicomprep.storage.source import SourceFile

__all__ = ["local_data", "zip_members"]

_END, _END_64, _LOCATOR = struct.Struct("<4s4H2IH"), struct.Struct("<4sQ2H2I4Q"), struct.Struct("<4sIQI")
_ENTRY, _LOCAL = struct.Struct("<4s4B4H3I5H2I"), struct.Struct("<4s5H3I2H")
_MAX_COMMENT_BYTES = 2**16
_BLOCK = 2**20
_ENCRYPTED, _UTF8 = 1, 0x800
_METHODS = {0: "stored", 8: "deflated", 12: "bzip2", 93: "zstandard"}
_UNSUPPORTED = {
    **{1: "Shrink", 2: "Reduce", 3: "Reduce", 4: "Reduce", 5: "Reduce", 6: "Implode", 9: "Deflate64"},
    **{10: "PKWARE Implode", 14: "LZMA", 16: "IBM CMPSC", 18: "IBM TERSE", 19: "IBM LZ77", 94: "MP3", 95: "XZ"},
    **{96: "JPEG", 97: "WavPack", 98: "PPMd", 99: "AES"},
}
_FROM_DOS = (0, 10, 11)
"""Systems on which folders are divided by backslashes: FAT, NTFS."""


class _Directory(NamedTuple):
    offset: int
    """Where it lies in the file."""
    size: int
    shift: int
    """What lies before the archive: offsets do not count it."""


def zip_members(file: SourceFile) -> Iterator[Member]:
    """Every entry but folders, in the order of the directory. Raises InputError `corrupt_archive`."""
    directory = _find_directory(file)
    at, end, block = directory.offset, directory.offset + directory.size, b""
    while at < end:
        block = file.read_range(at, min(_BLOCK, end - at))
        used = 0
        for member, length in _entries(block, directory.shift):
            used += length
            if member is not None:
                yield member
        if not used:
            raise _corrupt("its directory is damaged")
        at += used


def local_data(file: SourceFile, packing: Packing) -> int:
    """Where the data of a member begin, behind the header that lies before them."""
    header = file.read_range(packing.offset, _LOCAL.size)
    if len(header) < _LOCAL.size or header[:4] != b"PK\3\4":
        raise _corrupt("the archive has no such member where its directory says")
    *_, name, extra = _LOCAL.unpack(header)
    return packing.offset + _LOCAL.size + int(name) + int(extra)


def _corrupt(message: str) -> InputError:
    return InputError(ErrorCode.CORRUPT_ARCHIVE, message)


def _find_directory(file: SourceFile) -> _Directory:
    tail_at = max(0, file.size - _MAX_COMMENT_BYTES - _END.size)
    tail = file.read_range(tail_at, file.size - tail_at)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        raise _corrupt("it has no directory at its end: it is cut")
    _, disk, first_disk, _, _, size, offset, _ = _END.unpack_from(tail, at)
    if disk not in (first_disk, 0xFFFF) or disk not in (0, 0xFFFF):
        raise InputError(ErrorCode.UNSUPPORTED_ARCHIVE, "it is one part of an archive in several files")
    end = tail_at + at
    large = _find_large(file, end)
    if large is not None:
        end, size, offset = large
    shift = end - size - offset
    if shift < 0 or size > end:
        raise _corrupt("its directory does not lie where it says")
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
    raise _corrupt("its directory (ZIP64) is not there: it is cut")


def _entries(block: bytes, shift: int) -> Iterator[tuple[Member | None, int]]:
    """(entry, its length) of those that lie in a block as a whole; None for a folder."""
    at = 0
    while at + _ENTRY.size <= len(block):
        if block[at : at + 4] != b"PK\1\2":
            raise _corrupt("its directory is damaged")
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
    size, packed, offset = _large_values(extra, size, packed, offset)
    name = _name(raw, flags, system)
    if name.endswith("/"):
        return None
    packing = Packing(offset + shift, packed, _METHODS.get(method, ""), crc, is_local=True)
    fault = _fault(flags, method)
    return Member(name, size, packing, _kind(system, attributes), f"crc32:{crc:08x}", fault)


def _large_values(extra: bytes, *values: int) -> tuple[int, ...]:
    """Size, packed size and offset, each from the ZIP64 field where the entry itself has no room for it."""
    large, at = b"", 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            large = extra[at + 4 : at + 4 + length]
        at += 4 + length
    found = []
    for value in values:
        if value == 0xFFFFFFFF and len(large) >= 8:
            value, large = int.from_bytes(large[:8], "little"), large[8:]  # noqa: PLW2901
        found.append(value)
    return tuple(found)


def _name(raw: bytes, flags: int, system: int) -> str:
    """UTF-8 where it says so or is; else code page 437."""
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        name = raw.decode("utf-8", "surrogateescape") if flags & _UTF8 else raw.decode("cp437")
    return name.replace("\\", "/") if system in _FROM_DOS and "/" not in name else name


def _kind(system: int, attributes: int) -> str:
    """By the mode that Unix gives an entry."""
    form = attributes >> 28 if system == 3 else 0
    if form == 0o12:
        return MemberKind.LINK
    return MemberKind.FILE if form in (0, 0o10) else MemberKind.SPECIAL


def _fault(flags: int, method: int) -> InputError | None:
    if flags & _ENCRYPTED:
        return InputError(ErrorCode.ENCRYPTED, "it is encrypted")
    if method not in _METHODS:
        called = f" ({_UNSUPPORTED[method]})" if method in _UNSUPPORTED else ""
        return InputError(ErrorCode.UNSUPPORTED_ARCHIVE, f"it is compressed by method {method}{called}, not supported")
    return None
