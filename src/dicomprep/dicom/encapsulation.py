"""Where each frame lies in encapsulated pixel data (DICOM PS3.5 section A.4, PS3.3 C.7.6.3.1.8)."""

import io
import struct
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from dicomprep.dicom.attributes import label
from dicomprep.errors import ErrorCode, InputError
from dicomprep.storage.source import HEAD_BYTES, MemoryFile, SourceFile

__all__ = ["ITEM", "SEQUENCE_END", "Fragment", "FragmentStream", "FrameTable", "locate_frames"]

MAX_FRAGMENTS = 2**19
"""Fragments of encapsulated pixel data; bounds memory and time."""

ITEM, SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_HEADER = struct.Struct("<4sI")
_CODESTREAM_STARTS = (
    b"\xff\xd8\xff",
    b"\xff\x4f\xff\x51",
    b"\x00\x00\x00\x0cjP  ",
    b"\xff\x0a",
    b"\x00\x00\x00\x0cJXL ",
)


@dataclass(frozen=True, slots=True)
class Fragment:
    """One item of encapsulated pixel data; `length` is what the file really holds of it."""

    item_offset: int
    """Of the item's tag, from the first item after the basic offset table."""
    offset: int
    """Of the value, in the file."""
    length: int
    cut: bool = False


class FragmentStream(io.RawIOBase):
    """Fragments, one after another, as one stream of which only what is asked for is read."""

    def __init__(self, file: SourceFile | MemoryFile, fragments: Sequence[Fragment]) -> None:
        self._file, self._fragments = file, fragments
        self._ends = list(accumulate(fragment.length for fragment in fragments))
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._ends[-1] if self._ends else 0}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401
        """Fill `buffer` as far as the fragment goes on that holds the present position."""
        number = bisect_right(self._ends, self._at)
        if number == len(self._fragments):
            return 0
        fragment, left = self._fragments[number], self._ends[number] - self._at
        offset = fragment.offset + fragment.length - left
        content = self._file.read_at(offset, min(left, len(buffer)))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


@dataclass(frozen=True, slots=True)
class FrameTable:
    """The fragments of each frame."""

    frames: Sequence[Sequence[Fragment]]
    notes: tuple[str, ...] = ()

    @property
    def is_cut(self) -> bool:
        """The file ends inside of a fragment."""
        return any(fragment.cut for fragments in self.frames[-1:] for fragment in fragments)

    def head(self, file: SourceFile | MemoryFile) -> bytes:
        """The beginning of the first frame; empty where there is none."""
        first = next(iter(self.frames[0]), None) if self.frames else None
        return b"" if first is None else file.read_at(first.offset, min(first.length, HEAD_BYTES))

    def read(self, file: SourceFile | MemoryFile, index: int) -> bytes:
        """The codestream of one frame; InputError `truncated` where the file ends before it does."""
        fragments = self.frames[index] if index < len(self.frames) else ()
        if any(fragment.cut for fragment in fragments) or (not fragments and self.is_cut):
            raise InputError(ErrorCode.TRUNCATED, "file truncated within the frame's codestream")
        if not fragments:
            message = f"only {len(self.frames)} frames present, fewer than {label('NumberOfFrames')}"
            raise InputError(ErrorCode.TRUNCATED, message)
        return b"".join(file.read_at(fragment.offset, fragment.length) for fragment in fragments if fragment.length)


def locate_frames(
    file: SourceFile | MemoryFile,
    position: int,
    *,
    frame_count: int,
    end: int | None = None,
    extended_offsets: Sequence[int] | None = None,
) -> FrameTable:
    """Find the fragments of every frame.

    `position` is that of the basic offset table's item, `end` that of the value where it is known; `extended_offsets`
    are those of (7FE0,0001). A table is believed only where it fits the fragments that are there; one fragment a
    frame needs none, and neither do frames that begin with their codec's first markers.
    """
    basic, fragments = _scan(file, position, file.size if end is None else end)
    if len(fragments) == frame_count:
        return FrameTable([[fragment] for fragment in fragments])
    starts = _codestream_starts(file, fragments)
    if frame_count > 1 or not starts:  # of one frame, its own markers know better than a table that lists fragments
        told = _told_by_table(fragments, {"extended": extended_offsets, "basic": basic}, frame_count)
        if told is not None:
            return told
    frames = _split(fragments, starts)
    if len(frames) > frame_count:
        return FrameTable(
            frames, (f"{label('NumberOfFrames')} is {frame_count}, but {len(frames)} frames are present",)
        )
    if frame_count == 1:
        return FrameTable([fragments])
    if len(frames) == frame_count or (fragments and fragments[-1].cut and len(frames) < frame_count):
        return FrameTable(frames, (f"{len(fragments)} fragments, split into frames by codestream markers",))
    if len(fragments) < frame_count:
        return FrameTable([[fragment] for fragment in fragments], ("fewer fragments than frames",))
    message = f"cannot assign {len(fragments)} fragments to {frame_count} frames: no matching offset table"
    raise InputError(ErrorCode.CORRUPT_PIXELS, message)


def _scan(file: SourceFile | MemoryFile, position: int, end: int) -> tuple[list[int], list[Fragment]]:
    """The basic offset table and all fragments, up to the sequence delimiter, `end`, or the end of the file.

    Some writers leave the table's item out; then the first item is a fragment already.
    """
    basic: list[int] = []
    fragments: list[Fragment] = []
    first = at = position
    while at < end and len(header := file.read_at(at, 8)) == 8:
        tag, length = _HEADER.unpack(header)
        if tag != ITEM:
            if tag == SEQUENCE_END or (fragments and not header.strip(b"\0")):  # the latter is padding in its place
                break
            message = f"expected an item in Pixel Data (7FE0,0010) at byte {at}"
            raise InputError(ErrorCode.CORRUPT_PIXELS, message)
        held = max(0, min(length, file.size - at - 8))
        if at == position and not _begins_codestream(file, at + 8):
            table = file.read_at(at + 8, min(held, 4 * MAX_FRAGMENTS))
            basic = list(struct.unpack(f"<{len(table) // 4}I", table[: len(table) // 4 * 4]))
            first = at + 8 + length
        else:
            fragments.append(Fragment(at - first, at + 8, held, cut=held < length))
        if len(fragments) > MAX_FRAGMENTS:
            raise InputError(ErrorCode.LIMIT_EXCEEDED, f"Pixel Data has more than {MAX_FRAGMENTS:,} fragments")
        at += 8 + length
    return basic, fragments


def _split(fragments: Sequence[Fragment], offsets: Sequence[int]) -> list[list[Fragment]]:
    """Fragments by frame, where each offset is one fragment's and they ascend from the first; else nothing."""
    if not offsets:
        return []
    places = {fragment.item_offset: number for number, fragment in enumerate(fragments)}
    numbers = [places.get(offset, -1) for offset in offsets]
    ascending = all(a < b for a, b in pairwise(numbers))
    if numbers[0] != 0 or not ascending:
        return []
    ends = [*numbers[1:], len(fragments)]
    return [list(fragments[start:end]) for start, end in zip(numbers, ends, strict=True)]


def _told_by_table(
    fragments: Sequence[Fragment], tables: dict[str, Sequence[int] | None], frame_count: int
) -> FrameTable | None:
    """Frames by an offset table that fits fragments and header; one of several frames outdoes a header of one."""
    for name, offsets in tables.items():
        frames = _split(fragments, offsets or ())
        if len(frames) > 1 and frame_count == 1:
            return FrameTable(frames, (f"{label('NumberOfFrames')} is 1, but {len(frames)} frames are present",))
        if len(frames) == frame_count > 1:
            return FrameTable(frames, (f"{len(fragments)} fragments, split into frames by the {name} offset table",))
    return None


def _codestream_starts(file: SourceFile | MemoryFile, fragments: Sequence[Fragment]) -> list[int]:
    """Offsets of fragments that begin as the first one does: other codecs' markers occur in its data by chance."""
    if not fragments or not _begins_codestream(file, fragments[0].offset):
        return []
    first = file.read_at(fragments[0].offset, 8)
    known = next((start for start in _CODESTREAM_STARTS if first.startswith(start)), first)
    wanted = first[: max(4, len(known))] if known == b"\xff\x0a" else known  # with the size, which frames share
    return [f.item_offset for f in fragments if file.read_at(f.offset, len(wanted)) == wanted]


def _begins_codestream(file: SourceFile | MemoryFile, offset: int) -> bool:
    start = file.read_at(offset, 8)
    segments, first = struct.unpack("<2I", start) if len(start) == 8 else (0, 0)
    return start.startswith(_CODESTREAM_STARTS) or (1 <= segments <= 15 and first == 64)  # the latter is RLE
