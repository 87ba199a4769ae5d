"""Elements and items of a header, counted before pydicom parses them, as far as a file can pay for (PS3.5 7.5).

Only long headers are counted: a short one cannot hold so many.
"""

import struct
from collections.abc import Container, Iterable

from dicomprep.dicom.fast_scan import PIXEL_KEYWORDS
from dicomprep.dicom.nesting import DELIMITERS, ITEM, LONG_VRS, SEQUENCE_END, UNDEFINED
from dicomprep.dicom.sniff import Encoding
from dicomprep.errors import ErrorCode, InputError
from dicomprep.storage.source import MemoryFile, SourceFile

__all__ = ["FREE_ELEMENTS", "TOO_MANY", "element_budget", "require_within_budget"]

FREE_ELEMENTS = 400_000
"""Elements that any file may have, an item counting as three; bounds time to two seconds."""

BYTES_PER_ELEMENT = 40
"""Bytes after the header that allow one more element: a frame of 64×64 pixels allows 200 of its own."""

ELEMENTS_PER_ITEM = 3
"""Elements that an item counts as."""

MIN_ELEMENT_BYTES = 8
"""Bytes of an element without a value."""

HEAD_BYTES = 12
PIECE_BYTES = 2**20

TOO_MANY = "too many header elements for a file of this size"

_SEQUENCES = (b"SQ", b"UN")


def element_budget(held_bytes: int, at: int) -> int:
    """How many elements may stand before byte `at` of a file of which so many bytes are on the disk.

    >>> element_budget(2**20, 2**20)
    400000
    """
    return FREE_ELEMENTS + max(0, held_bytes - at) // BYTES_PER_ELEMENT


def require_within_budget(
    file: SourceFile | MemoryFile, start: int, encoding: Encoding, *, held_bytes: int, wanted: Iterable[int]
) -> None:
    """InputError `limit_exceeded` where the data set that begins at `start` has more elements than are read.

    Sequences are entered that pydicom enters: those of undefined length, and `wanted` ones.
    """
    if file.size - start < MIN_ELEMENT_BYTES * FREE_ELEMENTS // ELEMENTS_PER_ITEM:
        return
    try:
        _Count(file, held_bytes, big_endian=encoding.big_endian).enter(
            start, file.size, implicit=encoding.implicit, wanted=frozenset(wanted)
        )
    except (RecursionError, ValueError, struct.error):  # damaged: pydicom will say so
        return


class _Count:
    """Walks through elements, over values that hold none."""

    def __init__(self, file: SourceFile | MemoryFile, held_bytes: int, *, big_endian: bool) -> None:
        order = ">" if big_endian else "<"
        self._read_tag, self._read_length = struct.Struct(f"{order}2H").unpack_from, struct.Struct(f"{order}I").unpack
        self._read_short = struct.Struct(f"{order}H").unpack
        self._file, self._held_bytes = file, held_bytes
        self._item = struct.pack(f"{order}2H", DELIMITERS, ITEM)
        self._count = 0
        self._piece, self._base = b"", 0

    def enter(self, at: int, end: int, *, implicit: bool, wanted: Container[int] | None = None) -> int:
        """Count what lies from `at` to `end` or a sequence's delimiter; where that is. `wanted` belongs to the root."""
        while at + MIN_ELEMENT_BYTES <= end:
            head = self._head(at)
            group, element = self._read_tag(head)
            tag = group << 16 | element
            if wanted is not None and tag in PIXEL_KEYWORDS:
                return at
            self._add(ELEMENTS_PER_ITEM if head[:4] == self._item else 1, at)
            if group == DELIMITERS:
                at += 8
                if element == SEQUENCE_END:
                    return at
            else:
                is_wanted = wanted is None or tag in wanted
                at = self._pass(head, at, end, implicit=implicit, is_wanted=is_wanted)
        return end

    def _pass(self, head: bytes, at: int, end: int, *, implicit: bool, is_wanted: bool) -> int:
        """The end of the element at `at`; a sequence is entered."""
        vr = b"" if implicit else head[4:6]
        if vr in LONG_VRS:
            (length,), value_at = self._read_length(head[8:12]), at + 12
        elif implicit:
            (length,), value_at = self._read_length(head[4:8]), at + 8
        else:
            (length,), value_at = self._read_short(head[6:8]), at + 8
        inner = implicit or vr == b"UN"
        if length == UNDEFINED:
            if vr in _SEQUENCES or self._head(value_at)[:4] == self._item:
                is_sequence = not vr or vr in _SEQUENCES
                return self.enter(value_at, end, implicit=inner) if is_sequence else self._pass_fragments(value_at)
            raise ValueError("no sequence")
        if is_wanted and length >= MIN_ELEMENT_BYTES and self._head(value_at)[:4] == self._item:
            self.enter(value_at, min(end, value_at + length), implicit=inner)
        return value_at + length

    def _pass_fragments(self, at: int) -> int:
        while (head := self._head(at))[:4] == self._item:
            self._add(1, at)
            at += 8 + self._read_length(head[4:8])[0]
        return at + 8

    def _add(self, count: int, at: int) -> None:
        self._count += count
        if self._count > element_budget(self._held_bytes, at):
            raise InputError(ErrorCode.LIMIT_EXCEEDED, TOO_MANY)

    def _head(self, at: int) -> bytes:
        offset = at - self._base
        if not 0 <= offset <= len(self._piece) - HEAD_BYTES:
            self._piece, self._base, offset = self._file.read_at(at, PIECE_BYTES), at, 0
        return self._piece[offset : offset + HEAD_BYTES]
