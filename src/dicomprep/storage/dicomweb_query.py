"""What a DICOMweb server has, by QIDO-RS: studies and their instances, page by page."""

from collections.abc import Iterator, Mapping
from typing import Any

from dicomprep.errors import EnvironmentFault
from dicomprep.storage.dicomweb import ServerRefusal, server_at
from dicomprep.storage.dicomweb_address import DicomwebAddress
from dicomprep.storage.source import Version, digest_bytes
from dicomprep.storage.spool import is_uid_name

__all__ = ["list_instances", "look_up_instance"]

PAGE_ANSWERS = 200
MAX_STUDIES, MAX_INSTANCES = 5_000_000, 1_000_000
"""Of a server, and of one study, that are listened to."""

STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"
_TELLING = ("00080016", INSTANCE, "00083002", "00200013", "00280008", "00280010", "00280011", "00280100")
"""What of an answer tells one content from another: class, UID, syntaxes, number, frames, rows, columns, bits.

Nothing of the patient is among it: a hash of that could be reversed.
"""


def list_instances(address: DicomwebAddress) -> Iterator[tuple[str, Version]]:
    """Path and version of all that match, study by study, in the server's order of studies. Raises EnvironmentFault."""
    seen: set[bytes] = set()
    for study in _uids_of(_pages(address.root, "/studies", dict(address.of_studies), STUDY, MAX_STUDIES), STUDY):
        if (mark := digest_bytes(study.encode())) not in seen:
            seen.add(mark)
            yield from _instances_of(address, study)


def look_up_instance(root: str, study: str, series: str, instance: str) -> Version | None:
    """The version of one instance as the server answers now; None where it has none. Raises EnvironmentFault."""
    answers = _search(root, f"/studies/{study}/series/{series}/instances", {"SOPInstanceUID": instance, "limit": "1"})
    return next((_version_of(answer) for answer in answers if _uid(answer, INSTANCE) == instance), None)


def _instances_of(address: DicomwebAddress, study: str) -> Iterator[tuple[str, Version]]:
    path = f"/studies/{study}/instances"
    found = {}
    for answer in _pages(address.root, path, dict(address.of_series), INSTANCE, MAX_INSTANCES):
        series, instance = _uid(answer, SERIES), _uid(answer, INSTANCE)
        if series and instance:
            found[f"{study}/{series}/{instance}.dcm"] = _version_of(answer)
    yield from sorted(found.items())


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
