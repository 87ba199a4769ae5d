"""A member of a compressed tar archive by itself: to reach it, the archive is read from its beginning."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from dicomprep.errors import ErrorCode, InputError
from dicomprep.storage.archives.decoding import PIECE, decode_stream
from dicomprep.storage.archives.kinds import ArchiveKind
from dicomprep.storage.archives.members import safe_path
from dicomprep.storage.archives.tar_headers import StreamedBytes, tar_members
from dicomprep.storage.base import Source
from dicomprep.storage.source import SourceFile, Version

__all__ = ["StreamedSource", "content_of"]


@dataclass(frozen=True, slots=True)
class StreamedSource:
    """A `Source` for a single look."""

    archive: Source
    kind: ArchiveKind
    root: str
    path: str
    version: Version
    name: str
    """Its path in the archive."""
    named_after: tuple[str, str]
    error: str | None = None

    @contextmanager
    def open(self) -> Iterator[SourceFile]:
        """See `Source`. What comes before it is decompressed and forgotten."""
        with self.archive.open() as archive, tempfile.SpooledTemporaryFile(max_size=2**25) as content:
            data = StreamedBytes(decode_stream(archive, self.kind))
            for member in tar_members(data):
                if safe_path(member.name) == self.name:
                    content.writelines(content_of(data, member.size))
                    yield _Unpacked(self, archive, content)  # type: ignore[arg-type]
                    return
        raise InputError(ErrorCode.UNREADABLE, "there is no such file in the archive")


def content_of(data: StreamedBytes, size: int) -> Iterator[bytes]:
    """The next bytes. Raises InputError `corrupt_archive` where the archive ends before."""
    while size:
        piece = data.read(min(PIECE, size))
        if not piece:
            raise InputError(ErrorCode.CORRUPT_ARCHIVE, "it ends in the middle of a member: it is cut")
        size -= len(piece)
        yield piece


class _Unpacked(SourceFile):
    def __init__(self, source: StreamedSource, archive: SourceFile, content: BinaryIO) -> None:
        path = os.path.join(source.root, source.path)
        super().__init__(path, version=source.version, held_bytes=source.version.size)
        self._archive, self._file = archive, content

    def has_changed(self) -> bool:
        return self._archive.has_changed()

    def _read(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)
