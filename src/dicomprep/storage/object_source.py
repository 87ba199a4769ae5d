"""Inputs in object stores: read in ranges, each of which must be of the content that was listed."""

from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from dicomprep.errors import ErrorCode, InputError
from dicomprep.storage.object_faults import FaultKind
from dicomprep.storage.objects import BY_TIME, Bucket, ObjectStat, Piece, RefusedError
from dicomprep.storage.source import WHOLE_FILE_BYTES, SourceFile, Version, digest_bytes

__all__ = ["ObjectFile", "ObjectSource", "is_object_gone", "version_of"]

PIECE_BYTES = 2**23
"""Of one request: small enough for a slow line, large enough that its latency does not count."""

PART_BYTES = 2**21
"""Objects of more bytes are read in parts, where a store says what their content is known by."""

FIRST_BYTES, STEP_BYTES, LEAD_BYTES = 2**17, 2**16, 2**12
"""Asked for at the beginning of such an object; elsewhere, at least, more where reading goes on; and before that."""

MAX_KEPT_BYTES = 2**24
"""Of its parts."""

MAX_REQUESTS = 16
"""For parts of an object that fits in memory; then the rest is asked for at once."""


@dataclass(frozen=True, slots=True)
class ObjectSource:
    """A `Source` that is an object: its version is ETag and size, never a time."""

    root: str
    """The address that was searched, without a slash at its end."""
    path: str
    version: Version = Version(0, 0)  # noqa: RUF009  (a tuple)
    error: str | None = None

    def __reduce__(self) -> tuple[type["ObjectSource"], tuple[object, ...]]:
        return type(self), (self.root, self.path, self.version, self.error)

    @classmethod
    def at(cls, address: str) -> "ObjectSource":
        """The object that somebody named, whose version nobody asks for."""
        root, _, path = address.rpartition("/")
        return cls(root, path)

    @classmethod
    def now(cls, root: str, path: str) -> "ObjectSource":
        """An object as it is now; one that is not there says so when it is opened."""
        try:
            return cls(root, path, version_of(Bucket(root).head(path)))
        except RefusedError as error:
            return cls(root, path, error=f"it cannot be looked at: {error.fault.reason}")

    @property
    def named_after(self) -> tuple[str, str]:
        """See `Source`: the last part of the address, or the bucket."""
        return self.root.rpartition("/")[2], self.path

    def open(self) -> AbstractContextManager[SourceFile]:
        """See `Source`. Nothing is asked of the store until something is read, where the version is known."""
        return _open(self)


def version_of(stat: ObjectStat) -> Version:
    """Which content an object has, as its store lists it."""
    return Version(stat.size, 0, 0, stat.etag)


class _Window(NamedTuple):
    """A part of an object that is kept."""

    start: int
    content: bytes

    @property
    def end(self) -> int:
        return self.start + len(self.content)


class ObjectFile(SourceFile):
    """An object that is open. Each piece comes with the tag of its content; one of another content is refused."""

    def __init__(self, bucket: Bucket, key: str, version: Version) -> None:
        super().__init__(bucket.where(key), version=version, held_bytes=version.size)
        self._bucket, self._key = bucket, key
        self._has_changed = False
        self._windows: deque[_Window] = deque()
        self._expected = (0, 0)
        self._requests = 0
        if version.tag and not version.tag.startswith(BY_TIME):
            self.whole_bytes = PART_BYTES
            own = "" if bucket.scheme == "s3" else self.path  # elsewhere a tag tells the contents of one object apart
            self.identity = digest_bytes(f"{version.tag} {self.size}{own}".encode()) if self.size > PART_BYTES else b""

    def expect(self, offset: int, length: int) -> None:
        """See `SourceFile`: the next request there is for all of it."""
        self._expected = offset, offset + min(length, PIECE_BYTES)

    def has_changed(self) -> bool:
        """See `SourceFile`."""
        if not self._has_changed:
            try:
                now = version_of(self._bucket.head(self._key))
                self._has_changed = not now.has_content_of(self.version)
            except RefusedError as error:
                self._has_changed = error.fault.kind is FaultKind.MISSING
        return self._has_changed

    def changed_while_read(self) -> bool:
        """See `SourceFile`: all pieces were of one content, unless one of another was met."""
        return self._has_changed

    def _read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size)
        if offset >= end or self._content is not None:
            return (self._content or b"")[offset:end]
        kept = next((window for window in self._windows if window.start <= offset < window.end), None)
        if kept is None:
            return self._fetch_window(offset, end)
        content = kept.content[offset - kept.start : end - kept.start]
        return content if end <= kept.end else content + self._read(kept.end, end - kept.end)

    def _fetch_window(self, start: int, end: int) -> bytes:
        """The bytes asked for; what is fetched besides is kept."""
        self._requests += 1
        if self._requests > MAX_REQUESTS:
            self.whole_bytes = WHOLE_FILE_BYTES
        before = sum(len(window.content) for window in self._windows if window.end == start)
        last = max(end, start + min(max(STEP_BYTES, 2 * before), PIECE_BYTES))
        if start == 0 and self.size > PART_BYTES:
            last = max(last, FIRST_BYTES)
        is_expected = self._expected[0] <= start < self._expected[1]
        last = max(last, self._expected[1]) if is_expected else last
        first = start if before or is_expected else max(0, start - LEAD_BYTES)
        content = self._fetch(first, min(last, self.size))
        if len(content) <= PIECE_BYTES:
            self._windows.append(_Window(first, content))
        while sum(len(window.content) for window in self._windows) > MAX_KEPT_BYTES:
            self._windows.popleft()
        return content[start - first : end - first]

    def _fetch(self, start: int, end: int) -> bytes:
        pieces = [self._get(at, min(at + PIECE_BYTES, end)) for at in range(start, end, PIECE_BYTES)]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _get(self, start: int, end: int) -> bytes:
        """One range; InputError `unreadable` where the object is at fault, `changed` where it is another one now."""
        try:
            piece = self._bucket.get(self._key, start, end)
        except RefusedError as error:
            raise self._input_error(error) from error
        if not _is_of(piece, self.version):
            self._has_changed = True
            raise InputError(ErrorCode.CHANGED, "it changed while it was being read")
        if piece.whole:
            self._content = piece.whole
        return piece.content

    def _input_error(self, error: RefusedError) -> InputError:
        if error.fault.kind is FaultKind.REFUSED and self.has_changed():  # a range beyond the end of what is there now
            return InputError(ErrorCode.CHANGED, "it changed while it was being read")
        return InputError(ErrorCode.UNREADABLE, f"it cannot be read: {error.fault.reason}")


def _is_of(piece: Piece, version: Version) -> bool:
    return (piece.size, piece.etag) == (version.size, version.tag)


def is_object_gone(root: str, path: str) -> bool:
    """Whether there is no such object; what cannot be looked at may be there. Raises EnvironmentFault."""
    try:
        Bucket(root).head(path)
    except RefusedError as error:
        return error.fault.kind is FaultKind.MISSING
    return False


@contextmanager
def _open(source: ObjectSource) -> Iterator[SourceFile]:
    if source.error is not None:
        raise InputError(ErrorCode.UNREADABLE, source.error)
    bucket = Bucket(source.root)
    version = source.version
    if version == Version(0, 0):
        try:
            version = version_of(bucket.head(source.path))
        except RefusedError as error:
            raise InputError(ErrorCode.UNREADABLE, f"it cannot be opened: {error.fault.reason}") from error
    yield ObjectFile(bucket, source.path, version)
