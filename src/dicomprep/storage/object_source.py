"""Inputs in object stores: read in ranges, each of which must be of the content that was listed."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from dicomprep.errors import ErrorCode, InputError
from dicomprep.storage.object_faults import FaultKind
from dicomprep.storage.objects import Bucket, ObjectStat, Piece, RefusedError
from dicomprep.storage.source import HEAD_BYTES, WHOLE_FILE_BYTES, SourceFile, Version, digest_bytes

__all__ = ["ObjectFile", "ObjectSource", "is_object_gone", "version_of"]

PIECE_BYTES = 2**23
"""Of one request: small enough for a slow line, large enough that its latency does not count."""

BLOCK_BYTES, MAX_BLOCKS = 2**20, 8
"""Large objects are read in blocks where little is asked for at a time; so many are kept."""


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


class ObjectFile(SourceFile):
    """An object that is open. Each piece comes with the tag of its content; one of another content is refused."""

    def __init__(self, bucket: Bucket, key: str, version: Version) -> None:
        super().__init__(bucket.where(key), version=version, held_bytes=version.size)
        self._bucket, self._key = bucket, key
        self._has_changed = False
        self._head = b""
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def digest(self) -> bytes:
        """As of any file; of a large object a digest of its ETag and size, so that it need not be read as a whole."""
        if self.size <= WHOLE_FILE_BYTES or not self.version.tag:
            return super().digest()
        return digest_bytes(f"{self.version.tag} {self.size}".encode())

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
        if offset >= end:
            return b""
        if offset == 0 and end <= HEAD_BYTES:
            return self._first()[:end]
        if self.size > WHOLE_FILE_BYTES and end - offset < BLOCK_BYTES:
            return self._from_blocks(offset, end)
        head = self._head[:end] if offset == 0 else b""
        return head + self._fetch(offset + len(head), end)

    def _first(self) -> bytes:
        """The beginning of the object, which tells what it is."""
        if not self._head:
            self._head = self._fetch(0, min(self.size, HEAD_BYTES))
        return self._head

    def _from_blocks(self, offset: int, end: int) -> bytes:
        numbers = range(offset // BLOCK_BYTES, (end - 1) // BLOCK_BYTES + 1)
        joined = b"".join(map(self._block, numbers))
        skipped = offset - numbers[0] * BLOCK_BYTES
        return joined[skipped : skipped + end - offset]

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            start = number * BLOCK_BYTES
            self._blocks[number] = self._fetch(start, min(start + BLOCK_BYTES, self.size))
            while len(self._blocks) > MAX_BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]

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
