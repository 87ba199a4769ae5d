"""What every source gives once it is open: its first bytes, any bytes, a stream, a digest."""

import errno
import io
import os
import stat
from abc import ABC, abstractmethod
from pathlib import Path
from typing import BinaryIO, NamedTuple

import xxhash

from dicomprep.errors import ErrorCode, InputError
from dicomprep.storage.file_budget import require_substance

__all__ = [
    "HEAD_BYTES",
    "MemoryFile",
    "SourceFile",
    "Version",
    "digest_bytes",
    "read_small_file",
    "read_stream",
]


HEAD_BYTES = 2**16
"""Enough of a DICOM file to see its file meta information."""

WHOLE_FILE_BYTES = 32 * 2**20
"""Of a file that is read at once."""

PIECE_BYTES = 2**24
"""Read of a stream at a time."""


_WITHIN = " in "
"""Between the tag of a member and that of its archive; no ETag holds a space."""


class Version(NamedTuple):
    """Which content a source has, as far as its place says so without reading it."""

    size: int
    """Bytes."""
    mtime_ns: int
    """When its content was last changed, in nanoseconds since 1970."""
    ctime_ns: int = 0
    """When it was last changed in any way, renamed or replaced; 0: not known."""
    tag: str = ""
    """What its place says of the content itself: a checksum, an ETag. Contents with one are not told apart by time.

    Of a member of an archive that has such a tag: both (see `as_member`).
    """

    def as_member(self, archive: "Version", *, is_outermost: bool) -> "Version":
        """A member's, of whose content size and tag are known; what changed its archive may have changed it, too."""
        outermost = archive.tag if is_outermost else archive.archive_tag
        tag = f"{self.tag}{_WITHIN}{outermost}" if outermost else self.tag
        return Version(self.size, archive.mtime_ns, archive.ctime_ns, tag)

    @property
    def content_tag(self) -> str:
        """What is said of the content, whatever archive it lies in."""
        return self.tag.partition(_WITHIN)[0]

    @property
    def archive_tag(self) -> str:
        """What is said of the archive that it lies in; empty where nothing is."""
        return self.tag.partition(_WITHIN)[2]

    def has_content_of(self, other: "Version") -> bool:
        """Whether size and tag, or else time, of the content are the same; it may have been renamed or copied."""
        if self.tag or other.tag:
            return (self.size, self.content_tag) == (other.size, other.content_tag)
        return (self.size, self.mtime_ns) == (other.size, other.mtime_ns)

    def is_same(self, other: "Version") -> bool:
        """Whether nothing speaks against it that this is the very same file, unchanged."""
        known = self.ctime_ns and other.ctime_ns
        same = self.has_content_of(other) and (self.mtime_ns, self.tag) == (other.mtime_ns, other.tag)
        return same and (not known or self.ctime_ns == other.ctime_ns)


class SourceFile(ABC):
    """An input, open for reading. Small ones are read at once when asked for, large ones piece by piece.

    A backend says how bytes are read and whether they are still those of what was opened.
    """

    device: int | None = None
    """The file system that it lies on, where it is a file of one."""

    identity: bytes = b""
    """What its content is known by where it need not be read as a whole; empty: by the digest of its bytes."""

    whole_bytes = WHOLE_FILE_BYTES
    """Up to so many bytes it is read at once."""

    def __init__(self, path: str, *, version: Version, held_bytes: int) -> None:
        self.path = path
        """What a person calls its place."""
        self.version, self.size = version, version.size
        self.held_bytes = held_bytes
        """Bytes that are in the store; fewer than `size` where a file has holes."""
        self._content: bytes | None = None

    @abstractmethod
    def _read(self, offset: int, length: int) -> bytes:
        """Bytes from `offset`: some at least, fewer than `length` at the end. Raises InputError `unreadable`."""

    @abstractmethod
    def has_changed(self) -> bool:
        """Whether what lies at its place is no longer what was opened."""

    def changed_while_read(self) -> bool:
        """Whether what was read may be of more than one content; asked at the end."""
        return self.has_changed()

    @property
    def _whole(self) -> bytes | None:
        if self._content is None and self.size <= self.whole_bytes:
            self._content = self._read(0, self.size)
        return self._content

    def head(self) -> bytes:
        """The first bytes, enough to tell what the file is, without reading the rest."""
        if self._content is not None:
            return self._content[:HEAD_BYTES]
        return self._read(0, min(self.size, HEAD_BYTES))

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer where the file ends."""
        whole = self._whole
        return self.read_range(offset, length) if whole is None else whole[offset : offset + length]

    def read_range(self, offset: int, length: int) -> bytes:
        """The same as `read_at`, but of these bytes alone, also of a small file: for one that holds many."""
        pieces = []
        length = min(length, self.size - offset)
        while length > 0 and (piece := self._read(offset, min(length, 2**30))):
            pieces.append(piece)
            offset, length = offset + len(piece), length - len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def view_at(self, offset: int, length: int) -> memoryview:
        """The same as `read_at`, without a copy where the file is in memory anyway."""
        whole = self._whole
        if whole is None:
            return memoryview(self.read_at(offset, length))
        return memoryview(whole)[offset : offset + length]

    def stream(self) -> BinaryIO:
        """The file from its beginning, for parsers that want a stream."""
        if self._whole is not None:
            return io.BytesIO(self._whole)
        return io.BufferedReader(_Reader(self))

    def expect(self, offset: int, length: int) -> None:  # noqa: B027  (for whom it makes no difference)
        """Be told that so many bytes will be asked for from `offset` on, in pieces."""

    def digest(self) -> bytes:
        """What the content is known by: its identity, or else XXH3-128 of all of it.

        InputError `limit_exceeded` where next to all of it is holes.
        """
        if self.identity:
            return self.identity
        require_substance(self.size, self.held_bytes)
        if self._whole is not None:
            return digest_bytes(self._whole)
        state = xxhash.xxh3_128()
        for offset in range(0, self.size, 2**20):
            state.update(self.read_at(offset, 2**20))
        return state.digest()


class MemoryFile:
    """Bytes that are in memory, read as a file is: the data set of a Deflated file, or what a caller has at hand."""

    identity = b""
    """See `SourceFile`."""

    def __init__(self, content: bytes, *, held_bytes: int = 0) -> None:
        """`held_bytes` of it were there before it was opened; nothing of what inflated was."""
        self._content, self.size, self.held_bytes = content, len(content), held_bytes

    def head(self) -> bytes:
        """The first bytes, enough to tell what the file is."""
        return self._content[:HEAD_BYTES]

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`."""
        return self._content[offset : offset + length]

    def view_at(self, offset: int, length: int) -> memoryview:
        """The same without a copy."""
        return memoryview(self._content)[offset : offset + length]

    def stream(self) -> BinaryIO:
        """The data set from its beginning."""
        return io.BytesIO(self._content)


def read_stream(stream: BinaryIO, *, most: int) -> bytes:
    """All bytes of an open binary file from where it stands, whether or not it can be searched.

    Raises InputError: `unreadable` where it cannot be read, `limit_exceeded` where there are more than `most`.
    """
    pieces, left = [], most + 1
    try:
        while left and (piece := stream.read(min(left, PIECE_BYTES))):
            if not isinstance(piece, bytes):
                raise InputError(
                    ErrorCode.UNREADABLE, "it is open as text: open it in binary mode, as open(path, 'rb')"
                )
            pieces.append(piece)
            left -= len(piece)
    except (OSError, ValueError) as error:  # ValueError: it is closed
        raise InputError(ErrorCode.UNREADABLE, f"it cannot be read: {error}") from error
    if not left:
        raise InputError(ErrorCode.LIMIT_EXCEEDED, f"it has more than {most:,} bytes (a larger max_memory allows more)")
    return b"".join(pieces)


class _Reader(io.RawIOBase):
    """A raw stream over `SourceFile.read_at`."""

    def __init__(self, source: SourceFile) -> None:
        self._source, self._at = source, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._source.read_at(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def read_small_file(path: Path, *, most: int, follow_links: bool = True) -> bytes:
    """A regular file of at most `most` bytes, for a setting, a key, a mark; OSError where it is larger or none."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", os.fspath(path))
        if status.st_size > most:
            raise OSError(errno.EFBIG, f"it is larger than {most:,} bytes", os.fspath(path))
        return os.read(descriptor, most)
    finally:
        os.close(descriptor)


def digest_bytes(content: bytes) -> bytes:
    """XXH3-128, 16 bytes: for telling contents apart, not against forgery."""
    return xxhash.xxh3_128_digest(content)
