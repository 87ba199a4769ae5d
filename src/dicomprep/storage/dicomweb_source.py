"""Instances of a DICOMweb server as inputs: by their UIDs, as the server keeps them."""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from dicomprep.errors import EnvironmentFault, ErrorCode, InputError
from dicomprep.storage.dicomweb import ServerRefusal, server_at
from dicomprep.storage.dicomweb_address import DicomwebAddress
from dicomprep.storage.source import WHOLE_FILE_BYTES, SourceFile, Version, digest_bytes
from dicomprep.storage.spool import is_uid_name

__all__ = ["DicomwebSource", "find_instances", "is_instance_gone"]

PAGE_ANSWERS = 200
MAX_STUDIES, MAX_INSTANCES = 5_000_000, 1_000_000
"""Of a server, and of one study, that are listened to."""

MAX_INSTANCE_BYTES = 16 * 2**30
MAX_PART_HEADER_BYTES = 2**14

STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"
_TELLING = ("00080016", INSTANCE, "00083002", "00200013", "00280008", "00280010", "00280011", "00280100")
"""What of an answer tells one content from another: class, UID, syntaxes, number, frames, rows, columns, bits.

Nothing of the patient is among it: a hash of that could be reversed.
"""

_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;"]{1,200}))')
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
        answer = _look_up(root, path)
        if answer is None:
            return cls(root, path, error="the server does not have it any more")
        return cls(root, path, _version_of(answer))

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
    seen: set[bytes] = set()
    for study in _uids_of(_pages(address.root, "/studies", dict(address.of_studies), STUDY, MAX_STUDIES), STUDY):
        if (mark := digest_bytes(study.encode())) not in seen:
            seen.add(mark)
            yield from _instances_of(address, study)


def is_instance_gone(root: str, path: str) -> bool:
    """Whether a server no longer has an instance. Raises EnvironmentFault."""
    return _look_up(root, path) is None


def _instances_of(address: DicomwebAddress, study: str) -> Iterator[DicomwebSource]:
    path = f"/studies/{study}/instances"
    found = {}
    for answer in _pages(address.root, path, dict(address.of_series), INSTANCE, MAX_INSTANCES):
        series, instance = _uid(answer, SERIES), _uid(answer, INSTANCE)
        if series and instance:
            found[f"{study}/{series}/{instance}.dcm"] = _version_of(answer)
    return (DicomwebSource(address.root, path, version) for path, version in sorted(found.items()))


def _pages(root: str, path: str, query: Mapping[str, str], key: str, most: int) -> Iterator[dict[str, Any]]:
    """All answers, page by page, until there are none, or none that were not there before."""
    offset, last = 0, b""
    while offset < most:
        page = _search(root, path, {**query, "limit": str(PAGE_ANSWERS), "offset": str(offset)})
        mark = digest_bytes(" ".join(_uid(answer, key) for answer in page).encode())
        if not page or mark == last:  # a server that heeds no offset gives the first page for ever
            return
        yield from page
        offset, last = offset + len(page), mark
    raise EnvironmentFault(f"{root} answers with more than {most:,} matches. Ask for less.")


def _search(root: str, path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
    try:
        return server_at(root).search(path, query)
    except ServerRefusal as refusal:
        raise EnvironmentFault(f"{root} cannot be searched: {refusal}.") from refusal


def _look_up(root: str, path: str) -> dict[str, Any] | None:
    """What the server answers of one instance; None where it has none."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    study, series, instance = match.groups()
    answers = _search(root, f"/studies/{study}/series/{series}/instances", {"SOPInstanceUID": instance, "limit": "1"})
    return next((answer for answer in answers if _uid(answer, INSTANCE) == instance), None)


def _uids_of(answers: Iterator[dict[str, Any]], key: str) -> Iterator[str]:
    return filter(None, (_uid(answer, key) for answer in answers))


def _uid(answer: Mapping[str, Any], tag: str) -> str:
    """A UID of an answer; empty where what stands there is none."""
    value = _values(answer, tag)
    return value[0] if value and isinstance(value[0], str) and is_uid_name(value[0]) else ""


def _values(answer: Mapping[str, Any], tag: str) -> list[Any]:
    element = answer.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _version_of(answer: Mapping[str, Any]) -> Version:
    told = repr([_values(answer, tag) for tag in _TELLING])
    return Version(0, 0, 0, f"qido:{digest_bytes(told.encode('utf-8', 'replace')).hex()}")


@contextmanager
def _open(source: DicomwebSource) -> Iterator[SourceFile]:
    match = _PATH.fullmatch(source.path)
    if source.error is not None or match is None:
        raise InputError(ErrorCode.UNREADABLE, source.error or "its path is not STUDY/SERIES/INSTANCE.dcm")
    study, series, instance = match.groups()
    with tempfile.SpooledTemporaryFile(max_size=WHOLE_FILE_BYTES) as content:
        path = f"/studies/{study}/series/{series}/instances/{instance}"
        try:
            server = server_at(source.root)
            begin, end = server.retrieve(path, content, max_bytes=MAX_INSTANCE_BYTES, find=_find_part)  # type: ignore[arg-type]
        except ServerRefusal as refusal:
            raise InputError(ErrorCode.UNREADABLE, f"it cannot be fetched: {refusal}") from refusal
        yield DicomwebFile(f"{source.root}/{source.path}", content, begin, end, source.version)  # type: ignore[arg-type]


def _find_part(content: BinaryIO, kind: str) -> tuple[int, int] | None:
    """Where the instance begins and ends in what came; None where none is in it, or not all of it."""
    end = content.seek(0, os.SEEK_END)
    content.seek(0)
    head = content.read(MAX_PART_HEADER_BYTES)
    if not kind.lower().lstrip().startswith("multipart/related"):
        return (0, end) if head[128:132] == b"DICM" else None
    match = _BOUNDARY.search(kind)
    mark = b"--" + (match[1] or match[2]).encode("ascii", "replace") if match else b""
    at = head.find(mark) if mark else -1
    begin = head.find(b"\r\n\r\n", at) + 4
    tail_at = content.seek(max(begin, end - MAX_PART_HEADER_BYTES))
    last = content.read().rfind(b"\r\n" + mark + b"--")
    return (begin, tail_at + last) if at >= 0 and begin >= 4 and last >= 0 else None
