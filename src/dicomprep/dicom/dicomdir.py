"""Which files a DICOMDIR refers to (PS3.3 F, PS3.10 8): for a cross-check alone, whatever state it is in.

Nothing is parsed: its references are found by their tag, as far as they go. What a damaged one says of its records is
not believed, and costs nothing.
"""

import re
import struct
import unicodedata
from typing import NamedTuple

__all__ = ["MAX_BYTES", "References", "folded_reference", "is_dicomdir", "read_references"]

MAX_BYTES = 2**26
"""Of a DICOMDIR that is read; bounds memory. A reference takes some hundred bytes."""

MAX_NAME_BYTES = 1024

_REFERENCED_FILE_ID = re.compile(rb"\x04\x00\x00\x15(?:CS(..)|(..)\x00\x00)", re.DOTALL)
_RECORDS = re.compile(rb"\x04\x00\x20\x12(?:SQ\x00\x00)?(....)", re.DOTALL)
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
_VERSION = re.compile(r";\d+$")


class References(NamedTuple):
    """What a DICOMDIR refers to."""

    names: dict[str, str]
    """Paths below its folder, as it spells them, by how they are compared."""
    is_whole: bool
    """Its records are all there, as far as it says."""


def is_dicomdir(path: str) -> bool:
    """Whether a file is called like a DICOMDIR.

    >>> is_dicomdir("DVD 1/dicomdir.;1"), is_dicomdir("DICOMDIR/IM1")
    (True, False)
    """
    return folded_reference(path.rpartition("/")[2]) == "dicomdir"


def folded_reference(path: str) -> str:
    """How a path of a file system is compared with a reference: disks change capitals, add versions and periods.

    >>> folded_reference("Dicom/IM1.;1") == folded_reference("DICOM/im1")
    True
    """
    parts = unicodedata.normalize("NFC", path).casefold().split("/")
    return "/".join(_VERSION.sub("", part).rstrip(".") for part in parts)


def read_references(content: bytes) -> References:
    """The references in the content of a DICOMDIR."""
    names: dict[str, str] = {}
    for match in _REFERENCED_FILE_ID.finditer(content):
        (length,) = struct.unpack("<H", match[1] or match[2])
        value = content[match.end() : match.end() + min(length, MAX_NAME_BYTES)]
        name = "/".join(part.strip() for part in _decode(value).rstrip("\0 ").split("\\"))
        if name.strip("/"):
            names[folded_reference(name)] = name
    return References(names, _is_whole(content))


def _decode(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _is_whole(content: bytes) -> bool:
    records = _RECORDS.search(content)
    if records is None:
        return False
    (length,) = struct.unpack("<I", records[1])
    if length == 0xFFFFFFFF:
        return content.rstrip(b"\0").endswith(_SEQUENCE_END.rstrip(b"\0"))
    return records.end() + length <= len(content)
