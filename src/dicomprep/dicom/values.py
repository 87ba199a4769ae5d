"""Values as they are written, read without pydicom, which takes ten times as long (DICOM PS3.5 6.2)."""

import struct
from functools import cache, lru_cache
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from dicomprep.dicom.numbers import parse_numbers

__all__ = [
    "MAX_KEPT_BYTES",
    "dictionary_representation",
    "is_numeric_text",
    "read_raw_values",
    "to_whole",
    "truncate_to_first",
    "write_numbers",
]

_BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_FLOATS = frozenset(["FL", "FD"])
_TEXTS = frozenset(["AE", "CS", "LO", "SH", "UI"])
_NUMBERS = frozenset(["DS", "IS"])
"""Value Representations of numbers that are written as text."""

_MIXED_SIGNS = frozenset({0x00281101, 0x00281102, 0x00281103, 0x00283002})
"""Descriptors of lookup tables, of which only the second value may be signed; pydicom knows."""

MAX_KEPT_BYTES = 64
"""Bytes of a value that is kept with what was read of it."""

_MAX_LIST_BYTES = 1024
"""Bytes of a list of numbers; of a longer one no more than the first is read where one is wanted."""


def read_raw_values(element: object, kind: Any) -> tuple[Any, ...] | None:  # noqa: ANN401
    """Values of an element that is as the standard wants it, read without pydicom, which takes ten times as long.

    None where there is anything else to it: another Value Representation, other characters, something malformed.
    """
    if not isinstance(element, RawDataElement) or not isinstance(element.value, bytes):
        return None
    if element.tag in _MIXED_SIGNS:
        return None
    read = _read_short if len(element.value) <= MAX_KEPT_BYTES else _read
    return read(_representation(element), element.value, kind, little=element.is_little_endian)


def is_numeric_text(element: object) -> bool:
    """Whether an element that pydicom has not converted holds numbers as text (DS, IS)."""
    is_raw = isinstance(element, RawDataElement) and isinstance(element.value, bytes)
    return is_raw and _representation(element) in _NUMBERS


def write_numbers(element: object) -> bytes | None:
    """The numbers of a binary element (US to FD) as text, as a DS would have them; None for any other element."""
    if not isinstance(element, RawDataElement) or element.VR not in _BINARY:
        return None
    numbers = read_raw_values(element, float)
    return None if numbers is None else "\\".join(map(repr, numbers)).encode("ascii")


def _representation(element: RawDataElement) -> str:
    """As written; as the data dictionary has it where none or UN is."""
    return element.VR if element.VR not in (None, "UN") else dictionary_representation(element.tag)


def _read(vr: str, content: bytes, kind: Any, *, little: bool) -> tuple[Any, ...] | None:  # noqa: ANN401
    try:
        if vr in _BINARY and kind is not str:
            form = ("<" if little else ">") + _BINARY[vr]
            convert = to_whole if vr in _FLOATS and kind is int else kind
            return tuple(convert(value) for (value,) in struct.iter_unpack(form, content))
        if vr in _NUMBERS and kind is not str:
            numbers = parse_numbers(content.decode("ascii"))
            values = numbers.values if kind is float else tuple(map(to_whole, numbers.values))
            return values if numbers.is_standard else None
        if vr in _TEXTS and kind is str and b"\x1b" not in content:
            parts = (part.strip(" \0") for part in content.decode("ascii").split("\\"))
            return tuple(part for part in parts if part)
        return None
    except (OverflowError, ValueError, struct.error):
        return None


def to_whole(number: float) -> int:
    """A number without a fraction as an integer; ValueError or OverflowError where it is none."""
    if number != int(number):
        raise ValueError(f"{number} is not a whole number")
    return int(number)


_read_short = lru_cache(maxsize=4096)(_read)
"""The same, kept: the files of a series share most of their values."""


def truncate_to_first(element: Any) -> Any:  # noqa: ANN401
    """The same element with no more than its first value, where it is a long list of numbers."""
    if not isinstance(element, RawDataElement) or not isinstance(element.value, bytes):
        return element
    if len(element.value) <= _MAX_LIST_BYTES:
        return element
    form = _BINARY.get(_representation(element))
    end = struct.calcsize(f"<{form}") if form else element.value.find(b"\\")
    head = element.value[:end] if end >= 0 else element.value
    return element._replace(value=head, length=len(head))


@cache
def dictionary_representation(tag: BaseTag) -> str:
    """The Value Representation of the data dictionary, for data sets that do not write it."""
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"
