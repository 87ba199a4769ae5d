"""What the directory of a zip file and the headers before its members have in common (APPNOTE 6.3.10, section 4.4)."""

import struct

from dicomprep.errors import ErrorCode, InputError
from dicomprep.storage.archives.members import Packing
from dicomprep.storage.source import SourceFile

__all__ = ["LOCAL", "METHODS", "corrupt", "entry_name", "large_values", "local_data", "reading_fault"]

LOCAL = struct.Struct("<4s5H3I2H")
_ENCRYPTED, _UTF8 = 1, 0x800
METHODS = {0: "stored", 8: "deflated", 12: "bzip2", 93: "zstandard"}
_UNSUPPORTED = {
    **{1: "Shrink", 2: "Reduce", 3: "Reduce", 4: "Reduce", 5: "Reduce", 6: "Implode", 9: "Deflate64"},
    **{10: "PKWARE Implode", 14: "LZMA", 16: "IBM CMPSC", 18: "IBM TERSE", 19: "IBM LZ77", 94: "MP3", 95: "XZ"},
    **{96: "JPEG", 97: "WavPack", 98: "PPMd", 99: "AES"},
}
_FROM_DOS = (0, 10, 11)
"""Systems on which folders are divided by backslashes: FAT, NTFS."""


def corrupt(message: str) -> InputError:
    return InputError(ErrorCode.CORRUPT_ARCHIVE, message)


def local_data(file: SourceFile, packing: Packing) -> int:
    """Where the data of a member begin, behind the header that lies before them."""
    header = file.read_range(packing.offset, LOCAL.size)
    if len(header) < LOCAL.size or header[:4] != b"PK\3\4":
        raise corrupt("the archive has no such member where its directory says")
    *_, name, extra = LOCAL.unpack(header)
    return packing.offset + LOCAL.size + int(name) + int(extra)


def large_values(extra: bytes, *values: int) -> tuple[int, ...]:
    """Size, packed size and offset, each from the ZIP64 field where the entry itself has no room for it."""
    large, at = b"", 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            large = extra[at + 4 : at + 4 + length]
        at += 4 + length
    found = []
    for value in values:
        if value == 0xFFFFFFFF and len(large) >= 8:
            value, large = int.from_bytes(large[:8], "little"), large[8:]  # noqa: PLW2901
        found.append(value)
    return tuple(found)


def entry_name(raw: bytes, flags: int, system: int) -> str:
    """UTF-8 where it says so or is; else code page 437."""
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        name = raw.decode("utf-8", "surrogateescape") if flags & _UTF8 else raw.decode("cp437")
    return name.replace("\\", "/") if system in _FROM_DOS and "/" not in name else name


def reading_fault(flags: int, method: int) -> InputError | None:
    if flags & _ENCRYPTED:
        return InputError(ErrorCode.ENCRYPTED, "it is encrypted")
    if method not in METHODS:
        called = f" ({_UNSUPPORTED[method]})" if method in _UNSUPPORTED else ""
        return InputError(ErrorCode.UNSUPPORTED_ARCHIVE, f"it is compressed by method {method}{called}, not supported")
    return None
