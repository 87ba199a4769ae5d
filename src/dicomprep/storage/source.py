"""Where bytes come from: the only module that opens sources. `local_images` has where they go to."""

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

import xxhash

from dicomprep.errors import ErrorCode, InputError
from dicomprep.storage.file_budget import bytes_on_disk, require_substance

__all__ = [
    "HEAD_BYTES",
    "Inflated",
    "SourceFile",
    "changed_ns",
    "digest_bytes",
    "open_at",
    "open_linked",
    "open_source",
    "read_small_file",
]


HEAD_BYTES = 2**16
"""Enough of a DICOM file to see its file meta information."""

WHOLE_FILE_BYTES = 32 * 2**20


class SourceFile:
    """A regular file, open for reading. Small ones are read at once when asked for, large ones piece by piece."""

    def __init__(self, path: str, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise InputError(ErrorCode.UNREADABLE, "it is no regular file")
        self.path, self.size, self.mtime_ns = path, status.st_size, status.st_mtime_ns
        self.held_bytes = bytes_on_disk(status, descriptor)
        """Bytes that are on the disk; fewer than `size` where there are holes."""
        self._descriptor = descriptor
        self._content: bytes | None = None

    @property
    def _whole(self) -> bytes | None:
        if self._content is None and self.size <= WHOLE_FILE_BYTES:
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
        if whole is not None:
            return whole[offset : offset + length]
        pieces = []
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

    def _read(self, offset: int, length: int) -> bytes:
        try:
            return os.pread(self._descriptor, length, offset)
        except OSError as error:
            raise InputError(ErrorCode.UNREADABLE, f"it cannot be read: {error.strerror}") from error

    def stream(self) -> BinaryIO:
        """The file from its beginning, for parsers that want a stream."""
        if self._whole is not None:
            return io.BytesIO(self._whole)
        return io.BufferedReader(_Reader(self))

    def digest(self) -> bytes:
        """XXH3-128 of the whole content; InputError `limit_exceeded` where next to all of it is holes."""
        require_substance(self.size, self.held_bytes)
        if self._whole is not None:
            return digest_bytes(self._whole)
        state = xxhash.xxh3_128()
        for offset in range(0, self.size, 2**20):
            state.update(self.read_at(offset, 2**20))
        return state.digest()

    def has_changed(self) -> bool:
        """Whether the file under this path is no longer the one that was opened, byte count and time."""
        opened = os.fstat(self._descriptor)
        try:
            now = os.stat(self.path, follow_symlinks=False)
        except OSError:
            return True
        same_file = (now.st_ino, now.st_dev) == (opened.st_ino, opened.st_dev)
        return not same_file or (opened.st_size, opened.st_mtime_ns) != (self.size, self.mtime_ns)


class Inflated:
    """The data set of a Deflated file, in memory."""

    def __init__(self, content: bytes) -> None:
        self._content, self.size = content, len(content)

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`."""
        return self._content[offset : offset + length]

    def view_at(self, offset: int, length: int) -> memoryview:
        """The same without a copy."""
        return memoryview(self._content)[offset : offset + length]

    def stream(self) -> BinaryIO:
        """The data set from its beginning."""
        return io.BytesIO(self._content)


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


@contextmanager
def open_source(path: str) -> Iterator[SourceFile]:
    """Open a file for reading without ever blocking on it; InputError `unreadable` where that fails."""
    try:
        descriptor = os.open(path, _READ)
    except OSError as error:
        raise InputError(ErrorCode.UNREADABLE, f"it cannot be opened: {error.strerror}") from error
    with _opened(path, descriptor) as source:
        yield source


@contextmanager
def open_linked(root: str, path: str) -> Iterator[SourceFile]:
    """Open the file that `path` below `root` leads to by links, if it lies below `root` as well.

    From the root on each folder is opened in the one before and no link is followed any more, so that nothing that is
    changed meanwhile leads out of it. InputError `unreadable` where that fails.
    """
    try:
        real_root, target = os.path.realpath(root), os.path.realpath(os.path.join(root, path), strict=True)
    except OSError as error:
        raise InputError(ErrorCode.UNREADABLE, f"it cannot be opened: {error.strerror}") from error
    prefix = os.path.join(real_root, "")
    if not target.startswith(prefix):
        raise InputError(ErrorCode.UNREADABLE, "it is a link that leads out of the folder that is searched")
    *folders, name = target.removeprefix(prefix).split("/")
    try:
        within = os.open(real_root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for folder in folders:
                inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=within)
                os.close(within)
                within = inner
            descriptor = os.open(name, _READ, dir_fd=within)
        finally:
            os.close(within)
    except OSError as error:
        raise InputError(ErrorCode.UNREADABLE, f"it cannot be opened: {error.strerror}") from error
    with _opened(target, descriptor) as source:
        yield source


_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW


@contextmanager
def _opened(path: str, descriptor: int) -> Iterator[SourceFile]:
    try:
        try:
            source = SourceFile(path, descriptor)
        except OSError as error:
            raise InputError(ErrorCode.UNREADABLE, f"it cannot be read: {error.strerror}") from error
        yield source
    finally:
        os.close(descriptor)


def open_at(root: str, path: str, *, linked: bool) -> AbstractContextManager[SourceFile]:
    """Open the file at `path` below `root`, through links within it if it was met through one."""
    return open_linked(root, path) if linked else open_source(os.path.join(root, path))


def changed_ns(status: os.stat_result) -> int:
    """When a file was last changed in any way, its name too; 0 where the system does not say (Windows: creation)."""
    return 0 if os.name == "nt" else status.st_ctime_ns


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
