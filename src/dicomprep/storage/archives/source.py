"""A member of an archive as a source: what it holds is unpacked where it is read, into memory or a nameless file."""

import os
import tempfile
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import BinaryIO
from weakref import finalize

from dicomprep.errors import ErrorCode, InputError
from dicomprep.storage.archives.decoding import Decode, decode_stream, inflate, pieces_of, unbzip2, unzstandard
from dicomprep.storage.archives.kinds import ArchiveKind
from dicomprep.storage.archives.members import Packing
from dicomprep.storage.archives.zip_entries import local_data
from dicomprep.storage.base import Source
from dicomprep.storage.source import HEAD_BYTES, WHOLE_FILE_BYTES, SourceFile, Version

__all__ = ["MemberSource", "RefusedSource"]

MAX_LOCAL_BYTES = 2**10
"""Before the data of a member, mostly."""

_DECODE: dict[str, Decode] = {"deflated": inflate, "bzip2": unbzip2, "zstandard": unzstandard}


@dataclass(frozen=True, slots=True)
class MemberSource:
    """A `Source` that lies in an archive, which is a source itself."""

    archive: Source
    root: str
    path: str
    version: Version
    packing: Packing
    named_after: tuple[str, str]
    error: str | None = None

    def open(self) -> AbstractContextManager[SourceFile]:
        """See `Source`. The archive stays open for the next one."""
        return _member_of(_held.open(self.archive), self)


@dataclass(frozen=True, slots=True)
class RefusedSource:
    """A `Source` that is not read: what is wrong with it is known already."""

    root: str
    path: str
    version: Version
    fault: InputError
    named_after: tuple[str, str]
    error: str | None = None

    @contextmanager
    def open(self) -> Iterator[SourceFile]:
        """Raises the InputError."""
        raise self.fault
        yield


class MemberFile(SourceFile):
    """A member that is open. InputError `corrupt_archive` where it is not what its archive says."""

    def __init__(self, archive: SourceFile, member: MemberSource) -> None:
        version = member.version  # the archive is the very one by whose times it goes
        super().__init__(os.path.join(member.root, member.path), version=version, held_bytes=version.size)
        self._archive, self._packing = archive, member.packing
        archive.expect(self._packing.offset, self._packing.length + MAX_LOCAL_BYTES)
        self._begin = local_data(archive, self._packing) if self._packing.is_local else self._packing.offset
        self._spool: BinaryIO | None = None
        self._is_checked = False
        if self._packing.method == "stored" and self._packing.length != self.size:
            raise _corrupt(f"its archive states two sizes, {self._packing.length:,} and {self.size:,} bytes")

    def has_changed(self) -> bool:
        """Whether the archive has."""
        return self._archive.has_changed()

    def changed_while_read(self) -> bool:
        """Whether the archive did."""
        return self._archive.changed_while_read()

    def head(self) -> bytes:
        """The first bytes; nothing more is unpacked for them."""
        if self._content is not None or self._spool is not None:
            return super().head()
        head = b""
        for piece in self._unpacked():
            head += piece
            if len(head) >= HEAD_BYTES:
                break
        return head[: min(HEAD_BYTES, self.size)]

    def _read(self, offset: int, length: int) -> bytes:
        if self.size <= WHOLE_FILE_BYTES:
            return b"".join(self._checked())[offset : offset + length]
        if self._packing.method == "stored":
            return self._read_stored(offset, length)
        if self._spool is None:
            self._spool = tempfile.TemporaryFile()  # noqa: SIM115  (closed when it is forgotten: it has no name)
            try:
                self._spool.writelines(self._checked())
            except OSError as error:
                raise InputError(ErrorCode.UNREADABLE, f"it cannot be unpacked: {error.strerror}") from error
        self._spool.seek(offset)
        return self._spool.read(length)

    def _read_stored(self, offset: int, length: int) -> bytes:
        if self._packing.crc is not None and not self._is_checked:
            deque(self._checked(), maxlen=0)
            self._is_checked = True
        return self._archive.read_range(self._begin + offset, min(length, self.size - offset))

    def _unpacked(self) -> Iterator[bytes]:
        if self._packing.method == "gzip":
            return decode_stream(self._archive, ArchiveKind.SINGLE)
        pieces = pieces_of(self._archive, self._begin, self._packing.length)
        return pieces if self._packing.method == "stored" else _DECODE[self._packing.method](pieces)

    def _checked(self) -> Iterator[bytes]:
        """All of it, if it is as long as it says and has its checksum."""
        count = crc = 0
        for piece in self._unpacked():
            count += len(piece)
            if count > self.size:
                raise _corrupt(f"it is longer than the {self.size:,} bytes that its archive states")
            crc = zlib.crc32(piece, crc)
            yield piece
        if count < self.size:
            raise _corrupt(f"it is shorter than its archive states: {count:,} of {self.size:,} bytes")
        if self._packing.crc not in (None, crc):
            raise _corrupt("its checksum is not the one that its archive states")


class _HeldArchive:
    """The archive that was read last stays open: its members come one after the other."""

    def __init__(self) -> None:
        self._opened: _Opened | None = None

    def open(self, archive: Source) -> "_Opened":
        """Open an archive, or find it open. Raises InputError, `changed` where it is no longer the one that was found.

        Nothing closes it but that nobody holds it any more.
        """
        held = self._opened
        if held is None or held.source != archive or held.file.changed_while_read():
            self._opened = None
            self._opened = held = _Opened(archive)
        return held


class _Opened:
    def __init__(self, source: Source) -> None:
        stack = ExitStack()
        finalize(self, stack.close)
        self.source, self.file = source, stack.enter_context(_open_apart(source))
        if not self.file.version.is_same(source.version):
            raise InputError(ErrorCode.CHANGED, "its archive changed while it was being read")


_held = _HeldArchive()


@contextmanager
def _member_of(opened: _Opened, member: MemberSource) -> Iterator[SourceFile]:
    yield MemberFile(opened.file, member)


@contextmanager
def _open_apart(source: Source) -> Iterator[SourceFile]:
    """Open an archive, itself a member perhaps, so that no other one that is opened meanwhile closes it."""
    if not isinstance(source, MemberSource):
        with source.open() as file:
            yield file
        return
    with _open_apart(source.archive) as outer:
        yield MemberFile(outer, source)


def _corrupt(message: str) -> InputError:
    return InputError(ErrorCode.CORRUPT_ARCHIVE, message)
