"""Where each frame lies in encapsulated pixel data (DICOM PS3.5 section A.4, PS3.3 C.7.6.3.1.8)."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dicomprep.errors import ErrorCode, InputError
from dicomprep.storage import Inflated, SourceFile

__all__ = ["Fragment", "FrameTable", "locate_frames"]

MAX_FRAGMENTS = 2**20
_ITEM, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
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


@dataclass(frozen=True, slots=True)
class FrameTable:
    """The fragments of each frame."""

    frames: Sequence[Sequence[Fragment]]
    notes: tuple[str, ...] = ()

    def read(self, file: SourceFile | Inflated, index: int) -> bytes:
        """The codestream of one frame; InputError `truncated` where the file ends before it does."""
        fragments = self.frames[index] if index < len(self.frames) else ()
        if not fragments or any(fragment.cut for fragment in fragments):
            raise InputError(ErrorCode.TRUNCATED, "the file ends before the frame does")
        return b"".join(file.read_at(fragment.offset, fragment.length) for fragment in fragments)


def locate_frames(
    file: SourceFile | Inflated, position: int, *, frame_count: int, extended_offsets: Sequence[int] | None = None
) -> FrameTable:
    """Find the fragments of every frame.

    `position` is that of the basic offset table's item; `extended_offsets` those of (7FE0,0001). A table is
    believed only where it fits the fragments that are there; one fragment a frame needs none.
    """
    basic, fragments = _scan(file, position)
    if frame_count == 1:
        return FrameTable([fragments])
    if len(fragments) == frame_count:
        return FrameTable([[fragment] for fragment in fragments])
    for name, offsets in (("extended", extended_offsets), ("basic", basic)):
        if offsets and (frames := _split(fragments, offsets)) and len(frames) == frame_count:
            return FrameTable(frames, (f"{len(fragments)} fragments, frames told by the {name} offset table",))
    starts = [f.item_offset for f in fragments if _begins_codestream(file, f.offset)]
    frames = _split(fragments, starts)
    if len(frames) == frame_count or (fragments and fragments[-1].cut and len(frames) < frame_count):
        return FrameTable(frames, (f"{len(fragments)} fragments, frames told by the codestreams' first markers",))
    if len(fragments) < frame_count:
        return FrameTable([[fragment] for fragment in fragments], ("there are fewer fragments than frames",))
    message = f"{len(fragments)} fragments cannot be told apart into {frame_count} frames: no offset table fits them"
    raise InputError(ErrorCode.CORRUPT_PIXELS, message)


def _scan(file: SourceFile | Inflated, position: int) -> tuple[list[int], list[Fragment]]:
    """The basic offset table and all fragments, up to the sequence delimiter or the end of the file.

    Some writers leave the table's item out; then the first item is a fragment already.
    """
    basic: list[int] = []
    fragments: list[Fragment] = []
    first = at = position
    while len(header := file.read_at(at, 8)) == 8 and header[:4] != _SEQUENCE_END:
        if header[:4] != _ITEM:
            message = f"no item where one must be in Pixel Data (7FE0,0010), at byte {at}"
            raise InputError(ErrorCode.CORRUPT_PIXELS, message)
        (length,) = struct.unpack("<I", header[4:])
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
    places = {fragment.item_offset: number for number, fragment in enumerate(fragments)}
    numbers = [places.get(offset, -1) for offset in offsets]
    ascending = all(a < b for a, b in pairwise(numbers))
    if not numbers or numbers[0] != 0 or not ascending:
        return []
    ends = [*numbers[1:], len(fragments)]
    return [list(fragments[start:end]) for start, end in zip(numbers, ends, strict=True)]


def _begins_codestream(file: SourceFile | Inflated, offset: int) -> bool:
    return file.read_at(offset, 8).startswith(_CODESTREAM_STARTS)
