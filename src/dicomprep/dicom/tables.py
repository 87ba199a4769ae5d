"""Lookup tables as headers write them: Modality and VOI LUTs, and the entries of palettes (DICOM PS3.3 C.11.1.1)."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dicomprep.dicom.attributes import Attributes, label
from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.intensity import LookupTable

__all__ = ["find_table", "read_descriptor", "read_entries"]

Span = tuple[float, float]
Notes = tuple[str, ...]
"""What had to be corrected, in words."""


def find_table(
    attributes: Attributes, keyword: str, *, span: Span, big_endian: bool, place: int = 0
) -> tuple[LookupTable | None, Notes]:
    """The table at `place` (from 0) of a sequence; one that is malformed is not used, and that is noted."""
    item = attributes.item(keyword, place)
    if item is None:
        return None, ()
    if "LUTData" not in item:
        return None, (f"{label(keyword)} ignored: no {label('LUTData')}",)
    try:
        table: LookupTable = item.cached("table", lambda: _read_table(item, big_endian=big_endian))
    except InputError as error:
        return None, (f"{label(keyword)} ignored: {error.detail}",)
    if table.first >= 2**15 and table.first > span[1] and span[0] < 0:  # a negative value, written as an unsigned one
        table = replace(table, first=table.first - 2**16)
    return _by_own_bits(table) if keyword == "VOILUTSequence" else (table, ())


def read_descriptor(attributes: Attributes, keyword: str) -> tuple[int, int, int]:
    """Number of entries, the input value that the first one stands for, and bits of an entry (PS3.3 C.11.1.1.1)."""
    descriptor = attributes.integers(keyword)
    if len(descriptor) != 3:
        raise InputError(ErrorCode.CORRUPT_HEADER, f"{label(keyword)} has {len(descriptor)} of 3 values")
    count, first, bits = descriptor
    if not -(2**15) <= first < 2**16 or not 0 <= bits < 2**16:
        raise InputError(ErrorCode.CORRUPT_HEADER, f"{label(keyword)} is malformed")
    return (count & 0xFFFF) or 65536, first, bits


def read_entries(attributes: Attributes, keyword: str, *, big_endian: bool) -> tuple[NDArray[np.uint16], bytes]:
    """Table data as 16-bit words, and as bytes with the lower byte of each word first.

    Entries of 8 bits are packed two to a word, the first of them in the lower byte, whatever the byte order
    (PS3.3 C.7.6.3.1.6); only OB has no words.
    """
    raw = attributes.content(keyword)
    if raw is None:  # written as numbers, not as words
        numbers = (np.array(attributes.integers(keyword), np.int64) & 0xFFFF).astype("<u2")
        return numbers.astype(np.uint16), numbers.tobytes()
    whole = raw[: len(raw) // 2 * 2]
    if not big_endian or attributes.representation(keyword) in ("UN", ""):
        return np.frombuffer(whole, "<u2").astype(np.uint16), raw
    words = np.frombuffer(whole, ">u2").astype(np.uint16)
    return words, raw if attributes.representation(keyword) == "OB" else words.astype("<u2").tobytes()


def _read_table(item: Attributes, *, big_endian: bool) -> LookupTable:
    count, first, bits = read_descriptor(item, "LUTDescriptor")
    values, raw = read_entries(item, "LUTData", big_endian=big_endian)
    if len(values) < count <= len(raw):  # 8-bit entries, packed
        values = np.frombuffer(raw, np.uint8).astype(np.uint16)
    values = values[:count]
    if len(values) == 0 or not 1 <= bits <= 16:
        raise InputError(ErrorCode.CORRUPT_HEADER, f"{label('LUTData')} is not a table of {bits}-bit entries")
    return LookupTable(first, bits, values.astype("<u2").tobytes())


def _by_own_bits(table: LookupTable) -> tuple[LookupTable, Notes]:
    """White is what the entries' own bits can hold, whatever the descriptor says of them."""
    own = int(table.values.max()).bit_length()
    if own in (0, table.bits):
        return table, ()
    note = f"{label('LUTDescriptor')} says {table.bits} bits, entries use {own}; white is {2**own - 1}"
    return replace(table, bits=own), (note,)
