"""The members of a tar archive by the headers before them: ustar, GNU and pax (POSIX.1-2017)."""

import re
import tarfile
from collections.abc import Iterator
from typing import Protocol

from dicomprep.errors import ErrorCode, InputError
from dicomprep.storage.archives.members import Member, MemberKind, Packing
from dicomprep.storage.source import SourceFile

__all__ = ["Bytes", "PlainBytes", "StreamedBytes", "tar_members"]

_BLOCK = 512
_MAX_HEADER_BYTES = 2**20
"""Bytes of a long name, or of what pax says of a member."""

_MAX_RECORDS, _MAX_EXTENSIONS, _MAX_DIGITS = 1000, 16, 20
"""Records of a pax header, headers that say something of one member, digits of a size; bounds time."""

_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_LINKS = {tarfile.SYMTYPE: MemberKind.LINK, tarfile.LNKTYPE: MemberKind.HARD_LINK}
_PASSED_OVER = (tarfile.DIRTYPE, b"V", b"D")
_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK = tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, b"K"


class Bytes(Protocol):
    """An archive from its beginning on, each byte once."""

    at: int

    def read(self, length: int) -> bytes:
        """So many bytes; fewer at its end."""
        ...

    def skip(self, length: int) -> None:
        """Pass over so many bytes. Raises InputError `corrupt_archive` where it ends before."""
        ...


class PlainBytes:
    """An archive that is not compressed: what is passed over is not read."""

    def __init__(self, file: SourceFile) -> None:
        self._file, self.at = file, 0

    def read(self, length: int) -> bytes:
        data = self._file.read_range(self.at, length)
        self.at += len(data)
        return data

    def skip(self, length: int) -> None:
        if self.at + length > self._file.size:
            raise _corrupt("it ends in the middle of a member: it is cut")
        self.at += length


class StreamedBytes:
    """An archive that is decompressed as it is read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left, self.at = pieces, memoryview(b""), 0

    def read(self, length: int) -> bytes:
        taken = []
        while length > 0 and (piece := self._take(length)):
            taken.append(piece)
            length -= len(piece)
        return taken[0].tobytes() if len(taken) == 1 else b"".join(taken)

    def skip(self, length: int) -> None:
        while length > 0:
            piece = self._take(length)
            if not piece:
                raise _corrupt("it ends in the middle of a member: it is cut")
            length -= len(piece)

    def _take(self, most: int) -> memoryview:
        if not self._left:
            self._left = memoryview(next(self._pieces, b""))
        piece, self._left = self._left[:most], self._left[most:]
        self.at += len(piece)
        return piece


def tar_members(archive: Bytes) -> Iterator[Member]:
    """Every entry but folders, in order; what the caller has not read of one when it asks for the next is passed over.

    Raises InputError: `corrupt_archive` where a header is damaged or the archive ends too early.
    """
    stated: dict[str, str] = {}
    extensions = 0
    while (header := archive.read(_BLOCK)).strip(b"\0"):
        info = _parse(header)
        if info.type in (_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK):
            extensions += 1
            if extensions > _MAX_EXTENSIONS:
                raise InputError(ErrorCode.LIMIT_EXCEEDED, f"more than {_MAX_EXTENSIONS} headers are for one member")
            said = _extension(archive, info)
            stated |= said if info.type != _PAX_GLOBAL else {}
            continue
        stated_size = stated.get("size", "")
        size = int(stated_size) if stated_size.isdecimal() and len(stated_size) <= _MAX_DIGITS else info.size
        if size < 0:
            raise _corrupt("it has a member of less than no bytes")
        begin = archive.at
        if info.type not in _PASSED_OVER:
            yield _member(info, stated, size, begin)
        length = size if info.type not in (*_LINKS, tarfile.DIRTYPE) else 0
        archive.skip(begin + length + -length % _BLOCK - archive.at)
        stated, extensions = {}, 0


def _corrupt(message: str) -> InputError:
    return InputError(ErrorCode.CORRUPT_ARCHIVE, message)


def _parse(header: bytes) -> tarfile.TarInfo:
    if len(header) < _BLOCK:
        raise _corrupt("it ends in the middle of a header: it is cut")
    try:
        return tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError, OverflowError) as error:
        raise _corrupt(f"the header of a member is damaged: {error}") from error


def _extension(archive: Bytes, info: tarfile.TarInfo) -> dict[str, str]:
    """What is said of the next member: its name, its size."""
    if not 0 <= info.size <= _MAX_HEADER_BYTES:
        raise InputError(ErrorCode.LIMIT_EXCEEDED, f"it has a header of {info.size:,} bytes")
    data = archive.read(info.size)
    archive.skip(-info.size % _BLOCK)
    if info.type == _LONG_NAME:
        return {"path": data.rstrip(b"\0").decode("utf-8", "surrogateescape")}
    return _pax_records(data) if info.type == _PAX else {}


def _pax_records(data: bytes) -> dict[str, str]:
    """`LENGTH KEYWORD=VALUE` and a line's end, one after the other, as far as they are sound."""
    records, at = dict[str, str](), 0
    while (match := re.compile(rb"(\d{1,7}) ").match(data, at)) is not None and int(match[1]):
        if len(records) >= _MAX_RECORDS:
            raise InputError(ErrorCode.LIMIT_EXCEEDED, f"it has a header of more than {_MAX_RECORDS:,} records")
        record = data[match.end() : at + int(match[1])]
        key, _, value = record.partition(b"=")
        records[key.decode("utf-8", "replace")] = value.removesuffix(b"\n").decode("utf-8", "surrogateescape")
        at += int(match[1])
    return records


def _member(info: tarfile.TarInfo, stated: dict[str, str], size: int, begin: int) -> Member:
    name = stated.get("path", info.name)
    kind = _LINKS.get(info.type, MemberKind.FILE)
    fault = None
    if info.type in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE):
        kind = MemberKind.SPECIAL
    elif info.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse") for key in stated):
        fault = InputError(ErrorCode.UNSUPPORTED_ARCHIVE, "it is stored with holes (tar --sparse), not supported")
    elif info.type == b"M":
        fault = InputError(ErrorCode.UNSUPPORTED_ARCHIVE, "it goes on in another volume (tar --multi-volume)")
    tag = f"tar:{info.mtime:g}:{info.chksum:o}"
    return Member(name, size, Packing(begin, size), kind, tag, fault)
