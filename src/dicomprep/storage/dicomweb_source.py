"""Instances of a DICOMweb server as inputs: by their UIDs, as the server keeps them."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from dicomprep.errors import ErrorCode, InputError
from dicomprep.storage.dicomweb import ServerRefusal, server_at
from dicomprep.storage.dicomweb_address import DicomwebAddress
from dicomprep.storage.dicomweb_parts import find_part
from dicomprep.storage.dicomweb_query import list_instances, look_up_instance
from dicomprep.storage.source import WHOLE_FILE_BYTES, SourceFile, Version

__all__ = ["DicomwebSource", "find_instances", "is_instance_gone"]

MAX_INSTANCE_BYTES = 16 * 2**30
_PATH = re.compile(r"([0-9][0-9.]{0,63})/([0-9][0-9.]{0,63})/([0-9][0-9.]{0,63})\.dcm")


@dataclass(frozen=True, slots=True)
class DicomwebSource:
    """A `Source` that is an instance: its version is what the server answers of it."""

    root: str
    """The address of the server, without a query."""
    path: str
    """`STUDY/SERIES/INSTANCE.dcm`, by their UIDs."""
    version: Version = Version(0, 0)  # noqa: RUF009  (a tuple)
    error: str | None = None

    def __reduce__(self) -> tuple[type["DicomwebSource"], tuple[object, ...]]:
        return type(self), (self.root, self.path, self.version, self.error)

    @classmethod
    def at(cls, address: str) -> "DicomwebSource":
        """The instance that somebody named, whose version nobody asks for: `…/STUDY/SERIES/INSTANCE.dcm`."""
        root, *uids = address.rsplit("/", 3)
        return cls(DicomwebAddress.parse(root).root, "/".join(uids))

    @classmethod
    def now(cls, root: str, path: str) -> "DicomwebSource":
        """An instance as the server answers of it now."""
        version = _look_up(root, path)
        if version is None:
            return cls(root, path, error="the server does not have it any more")
        return cls(root, path, version)

    @property
    def named_after(self) -> tuple[str, str]:
        """See `Source`: the last part of the address."""
        return self.root.rpartition("/")[2], self.path

    def open(self) -> AbstractContextManager[SourceFile]:
        """See `Source`. All of it is fetched first. EnvironmentFault where it is the server that fails."""
        return _open(self)


class DicomwebFile(SourceFile):
    """An instance that was fetched; a large one lies in a temporary file."""

    def __init__(self, path: str, content: BinaryIO, begin: int, end: int, version: Version) -> None:
        super().__init__(path, version=version, held_bytes=end - begin)
        self.size = end - begin
        self._file, self._begin = content, begin

    def _read(self, offset: int, length: int) -> bytes:
        self._file.seek(self._begin + offset)
        return self._file.read(max(0, min(length, self.size - offset)))

    def has_changed(self) -> bool:
        """What was fetched stays as it is."""
        return False


def find_instances(address: DicomwebAddress) -> Iterator[DicomwebSource]:
    """All that match, study by study, in the server's order of studies. EnvironmentFault where it does not answer."""
    return (DicomwebSource(address.root, path, version) for path, version in list_instances(address))


def is_instance_gone(root: str, path: str) -> bool:
    """Whether a server no longer has an instance. Raises EnvironmentFault."""
    return _look_up(root, path) is None


def _look_up(root: str, path: str) -> Version | None:
    match = _PATH.fullmatch(path)
    return None if match is None else look_up_instance(root, *match.groups())


@contextmanager
def _open(source: DicomwebSource) -> Iterator[SourceFile]:
    match = _PATH.fullmatch(source.path)
    if source.error is not None or match is None:
        raise InputError(ErrorCode.UNREADABLE, source.error or "its path is not STUDY/SERIES/INSTANCE.dcm")
    study, series, instance = match.groups()
    with tempfile.SpooledTemporaryFile(max_size=WHOLE_FILE_BYTES) as content:

        def find(came: BinaryIO, kind: str) -> tuple[int, int] | None:
            return find_part(came, kind, instance)

        path = f"/studies/{study}/series/{series}/instances/{instance}"
        try:
            server = server_at(source.root)
            begin, end = server.retrieve(path, content, max_bytes=MAX_INSTANCE_BYTES, find=find)  # type: ignore[arg-type]
        except ServerRefusal as refusal:
            raise InputError(ErrorCode.UNREADABLE, f"it cannot be fetched: {refusal}") from refusal
        yield DicomwebFile(f"{source.root}/{source.path}", content, begin, end, source.version)  # type: ignore[arg-type]
