"""Whether bytes are DICOM, how their data set is encoded (PS3.10 section 7, PS3.5 annex A), and of which series."""

import re
from dataclasses import dataclass

from dicomprep.dicom.nesting import LONG_VRS
from dicomprep.models import Instance
from dicomprep.pixels.codecs.transfer_syntaxes import (
    DEFLATED_LITTLE_ENDIAN,
    EXPLICIT_BIG_ENDIAN,
    EXPLICIT_LITTLE_ENDIAN,
    GE_PRIVATE,
    IMPLICIT_LITTLE_ENDIAN,
)

__all__ = ["DICOM_SUFFIXES", "Encoding", "read_series_uids", "sniff"]

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima", ".dic")
"""A file so named is an input, whatever it holds."""

_MIN_ORDERED_ELEMENTS = 4
"""Elements in ascending order that make a data set without a prefix; fewer may be an accident."""

_VR = re.compile(rb"AE|AS|AT|CS|DA|DS|DT|FD|FL|IS|LO|LT|O[BDFLVW]|PN|S[HLQSTV]|TM|U[CILNRSTV]")

_UID = rb"(?:UI..|..\0\0)([0-9][0-9.]{0,63})\0?"
_SERIES = re.compile(
    rb"(?:\x20\0\x0d\0|\0\x20\0\x0d)" + _UID + rb"(?:\x20\0\x0e\0|\0\x20\0\x0e)" + _UID + rb"(?![0-9.])", re.DOTALL
)
"""Study and Series Instance UID (0020,000D), (0020,000E), one right after the other, as only an image's own stand."""
_NUMBER = re.compile(rb"(?:\x20\0\x13\0|\0\x20\0\x13)(?:IS..|..\0\0) *([0-9]{1,9})", re.DOTALL)
_NEAR = 2048
"""Instance Number (0020,0013) stands no more bytes behind them."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """Where the data set begins and how it is written."""

    offset: int
    implicit: bool
    big_endian: bool
    deflated: bool
    transfer_syntax: str
    """As the file meta information states it, else as the data set's own encoding shows."""
    notes: tuple[str, ...] = ()


def sniff(head: bytes) -> Encoding | None:
    """Tell from a file's first bytes how its data set is encoded; None where it is no DICOM."""
    start = 132 if head[128:132] == b"DICM" else 4 if head[:4] == b"DICM" else 0
    if start == 132 and head[:2] == b"\x02\x00" != head[132:134]:
        start = 0
    if head[start : start + 2] != b"\x02\x00":
        bare = _sniff_bare(head)  # where DICM is not a prefix, it is part of a value
        if bare is not None or start < 132:
            return bare
    syntax, offset = _read_meta(head, start)
    if offset == start and head[start : start + 2] == b"\x02\x00":
        syntax, offset = _read_meta(head, start, implicit=True)
    if syntax == DEFLATED_LITTLE_ENDIAN:
        return Encoding(offset, implicit=False, big_endian=False, deflated=True, transfer_syntax=syntax)
    implicit, big_endian = _encoding_of(head, offset, syntax)
    notes = []
    written = _syntax_of(implicit=implicit, big_endian=big_endian)
    if syntax is None:
        notes.append("Transfer Syntax UID (0002,0010) is missing; detected from the data set's encoding")
    elif (syntax in (IMPLICIT_LITTLE_ENDIAN, GE_PRIVATE)) != implicit or (syntax == EXPLICIT_BIG_ENDIAN) != big_endian:
        notes.append("the data set is not encoded as Transfer Syntax UID (0002,0010) says; read as it is written")
        syntax = written if syntax in (IMPLICIT_LITTLE_ENDIAN, EXPLICIT_LITTLE_ENDIAN, EXPLICIT_BIG_ENDIAN) else syntax
    return Encoding(offset, implicit, big_endian, False, syntax or written, tuple(notes))


def _syntax_of(*, implicit: bool, big_endian: bool) -> str:
    return IMPLICIT_LITTLE_ENDIAN if implicit else EXPLICIT_BIG_ENDIAN if big_endian else EXPLICIT_LITTLE_ENDIAN


def _sniff_bare(head: bytes) -> Encoding | None:
    """A data set without preamble and file meta information: two plausible elements in ascending order."""
    for implicit, big_endian in ((False, False), (False, True), (True, False)):
        first = _read_element(head, 0, implicit=implicit, big_endian=big_endian)
        if first is None or first[0] >> 16 != 0x0008 or first[2] > 2**16:
            continue
        second = _read_element(head, first[1] + first[2], implicit=implicit, big_endian=big_endian)
        if second is not None and first[0] < second[0] < 0x00300000:
            syntax = _syntax_of(implicit=implicit, big_endian=big_endian)
            return Encoding(0, implicit, big_endian, False, syntax, ("no file meta information",))
    return None


def _read_meta(head: bytes, at: int, *, implicit: bool = False) -> tuple[str | None, int]:
    """Transfer Syntax UID and the end of group 0002, which is to be Explicit VR Little Endian."""
    syntax = None
    while (element := _read_element(head, at, implicit=implicit, big_endian=False)) is not None:
        tag, value_at, length = element
        if tag >> 16 != 0x0002:
            break
        if tag == 0x00020010:
            syntax = head[value_at : value_at + length].rstrip(b"\0 ").decode("ascii", "replace") or None
        at = value_at + length
    return syntax, at


def _encoding_of(head: bytes, at: int, syntax: str | None) -> tuple[bool, bool]:
    """(implicit, big_endian) as the data set's elements show, else as the transfer syntax says."""
    stated = syntax in (IMPLICIT_LITTLE_ENDIAN, GE_PRIVATE), syntax == EXPLICIT_BIG_ENDIAN
    element = head[at : at + 8]
    if len(element) < 8:
        return stated
    big_endian = int.from_bytes(element[:2], "big") < int.from_bytes(element[:2], "little")
    explicit = _VR.fullmatch(element[4:6]) is not None or (
        syntax not in (None, IMPLICIT_LITTLE_ENDIAN, GE_PRIVATE) and element[4:6].isalpha()
    )
    found = not explicit, big_endian and explicit
    sure = not explicit or (element[4:6] not in LONG_VRS and element[6:8] != b"\0\0")
    if found == stated and syntax is not None and sure:
        return found
    # The length of an implicit element can look like a VR, and a VR that is damaged like a length: more than one tells.
    other = explicit, big_endian and not explicit
    return other if _count_elements(head, at, *other) > _count_elements(head, at, *found) else found


def _count_elements(head: bytes, at: int, implicit: bool, big_endian: bool) -> int:
    """How many elements in ascending order begin at `at`, up to a few; one that ends beyond `head` does not count."""
    count, last = 0, -1
    while count < _MIN_ORDERED_ELEMENTS:
        element = _read_element(head, at, implicit=implicit, big_endian=big_endian)
        if element is None or element[0] <= last:
            break
        last, at = element[0], element[1] + element[2]
        count += at <= len(head)
    return count


def _read_element(head: bytes, at: int, *, implicit: bool, big_endian: bool) -> tuple[int, int, int] | None:
    """(tag, where the value begins, its length) of the element at `at`, or None where that is no element."""
    order = "big" if big_endian else "little"
    raw = head[at : at + 12]
    if len(raw) < 8:
        return None
    tag = int.from_bytes(raw[:2], order) << 16 | int.from_bytes(raw[2:4], order)  # type: ignore[arg-type]
    if implicit:
        return tag, at + 8, int.from_bytes(raw[4:8], order)  # type: ignore[arg-type]
    if _VR.fullmatch(raw[4:6]) is None:
        return None
    if raw[4:6] in LONG_VRS:
        return tag, at + 12, int.from_bytes(raw[8:12], order)  # type: ignore[arg-type]
    return tag, at + 8, int.from_bytes(raw[6:8], order)  # type: ignore[arg-type]


def read_series_uids(head: bytes) -> Instance:
    """Study and Series Instance UID and Instance Number by the first bytes of a file, in any encoding but Deflated.

    For a file whose header cannot be parsed to its end: a series that misses it must not be taken for a whole one.
    """
    found = _SERIES.search(head)
    if found is None:
        return Instance()
    number = _NUMBER.search(head, found.end(), found.end() + _NEAR)
    study, series = (uid.decode("ascii") for uid in found.groups())
    return Instance(
        study_instance_uid=study, series_instance_uid=series, instance_number=int(number[1]) if number else None
    )
