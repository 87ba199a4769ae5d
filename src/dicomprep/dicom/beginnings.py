"""The beginning of a JPEG 2000 frame, as far as its first resolutions go: what else it holds is not fetched."""

from dicomprep.dicom.encapsulation import Fragment, FrameTable
from dicomprep.pixels.codecs.jpeg2000_packets import first_resolutions
from dicomprep.storage.source import MemoryFile, SourceFile

__all__ = ["Beginnings"]

SHARE, FREE_BYTES = 1.6, 2**14
"""Bytes of a resolution that are expected, for its share of the pixels, and additional ones: small ones code more."""

MAX_SHARE = 0.6
"""Of a codestream, above which all of it is read."""

_START, _TILE_PART, _END = b"\xff\x4f\xff\x51", b"\xff\x90", b"\xff\xd9"
_MAX_HEADER_BYTES = 2**12
"""Of a codestream before its first tile-part."""


class Beginnings:
    """Reads the beginnings of frames; that of the last one is kept, for other resolutions of it may be asked for."""

    def __init__(self, file: SourceFile | MemoryFile) -> None:
        self._file = file
        self._kept: tuple[int, bytes] = (0, b"")

    def read(self, table: FrameTable, index: int, reduction: int) -> bytes | None:
        """A codestream that decodes, halved at least `reduction` times, as that of a frame does.

        None where it lies in several fragments, is cut, or is of another kind: then only the whole one tells.
        """
        fragments = table.frames[index] if index < len(table.frames) else ()
        if len(fragments) != 1 or not self._is_whole(fragments[0]):
            return None
        (fragment,) = fragments
        expected = int(SHARE * fragment.length / 4**reduction) + FREE_BYTES
        while expected < MAX_SHARE * fragment.length:
            found = first_resolutions(self._read(fragment, expected), reduction=reduction)
            if found is not None:
                return found
            expected *= 2
        return None

    def _read(self, fragment: Fragment, length: int) -> bytes:
        offset, kept = self._kept
        if offset != fragment.offset or len(kept) < length:
            self._kept = fragment.offset, self._file.read_at(fragment.offset, length)
        return self._kept[1]

    def _is_whole(self, fragment: Fragment) -> bool:
        """Whether it is a codestream of one tile-part that ends where the fragment does (T.800 A.4.2)."""
        head = self._read(fragment, min(fragment.length, _MAX_HEADER_BYTES))
        at = head.find(_TILE_PART)
        if fragment.cut or not head.startswith(_START) or not 0 < at <= len(head) - 10:
            return False
        stated = int.from_bytes(head[at + 6 : at + 10], "big")
        end = at + stated if stated else fragment.length - 2
        tail = self._file.read_at(fragment.offset + fragment.length - 4, 4)
        ends = {fragment.length - 2: tail[2:] == _END, fragment.length - 3: tail[1:] == _END + b"\0"}
        return ends.get(end, False)
