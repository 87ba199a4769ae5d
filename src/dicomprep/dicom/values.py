"""Values as they are written, read without pydicom, which takes ten times as long (DICOM PS3.5 6.2)."""

import struct
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

__all__ = ["MOST_KEPT", "dictionary_representation", "read_raw_values", "truncate_to_first"]

_BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_PLAIN: dict[tuple[str, Any], Callable[[str], Any]] = {
    ("IS", int): int,
    ("IS", float): float,
    ("DS", int): lambda text: int(float(text)),
    ("DS", float): float,
    **{(vr, str): str for vr in ("AE", "CS", "LO", "SH", "UI")},
}
"""How one value is read, by Value Representation and what is wanted."""

_MIXED_SIGNS = frozenset({0x00281101, 0x00281102, 0x00281103, 0x00283002})
"""Descriptors of lookup tables, of which only the second value may be signed; pydicom knows."""

MOST_KEPT = 64
"""Bytes of a value that is kept with what was read of it."""

MOST_LISTED = 1024
"""Bytes of a list of numbers; of a longer one no more than the first is read where one is wanted."""


def read_raw_values(element: object, kind: Any) -> tuple[Any, ...] | None:  # noqa: ANN401
    """Values of an element that is as the standard wants it, read without pydicom, which takes ten times as long.

    None where there is anything else to it: another Value Representation, other characters, something malformed.
    """
    if not isinstance(element, RawDataElement) or not isinstance(element.value, bytes):
        return None
    if element.tag in _MIXED_SIGNS:
        return None
    read = _read_short if len(element.value) <= MOST_KEPT else _read
    vr = element.VR or dictionary_representation(element.tag)
    return read(vr, element.value, kind, little=element.is_little_endian)


def _read(vr: str, content: bytes, kind: Any, *, little: bool) -> tuple[Any, ...] | None:  # noqa: ANN401
    try:
        if vr in _BINARY and kind is not str:
            form = ("<" if little else ">") + _BINARY[vr]
            return tuple(kind(value) for (value,) in struct.iter_unpack(form, content))
        convert = _PLAIN.get((vr, kind))
        if convert is None or b"\x1b" in content:
            return None
        parts = (part.strip(" \0") for part in content.decode("ascii").split("\\"))
        return tuple(convert(part) for part in parts if part)
    except (OverflowError, ValueError, struct.error):
        return None


_read_short = lru_cache(maxsize=4096)(_read)
"""The same, kept: the files of a series share most of their values."""


def truncate_to_first(element: Any) -> Any:  # noqa: ANN401
    """The same element with no more than its first value, where it is a long list of numbers."""
    if not isinstance(element, RawDataElement) or not isinstance(element.value, bytes):
        return element
    if len(element.value) <= MOST_LISTED:
        return element
    form = _BINARY.get(element.VR or dictionary_representation(element.tag))
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
