"""Palette Color Lookup Tables (DICOM PS3.3 C.7.6.3.1.5, C.7.6.3.1.6, C.7.9.2)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dicomprep.dicom.attributes import Attributes, label
from dicomprep.dicom.grayscale import FrameAttributes
from dicomprep.dicom.tables import read_descriptor, read_entries
from dicomprep.errors import ErrorCode, InputError

__all__ = ["read_icc_profile", "read_palette", "read_supplement"]

Palette = tuple[NDArray[np.uint16], int]
"""Entries, and the stored value of the first one."""

_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2
_COLORED = ("COLOR", "MIXED")
_FRAME_TYPES = (
    "MRImageFrameTypeSequence",
    "CTImageFrameTypeSequence",
    "PETFrameTypeSequence",
    "USImageDescriptionSequence",
)
"""Functional groups that say of each frame how it is presented."""


def read_palette(root: Attributes, *, big_endian: bool) -> Palette:
    """The palette, (entries, 3) of 16 significant bits, and the stored value that its first entry stands for.

    A channel that begins later or ends sooner than the others goes on with its first or last entry.
    """
    palette: Palette = root.cached("palette", lambda: _read_palette(root, big_endian=big_endian))
    return palette


def _read_palette(root: Attributes, *, big_endian: bool) -> Palette:
    channels: list[tuple[int, int, NDArray[np.uint16]]] = []
    for color in ("Red", "Green", "Blue"):
        keyword = f"{color}PaletteColorLookupTableDescriptor"
        if len(root.integers(keyword)) != 3:
            raise InputError(ErrorCode.CORRUPT_HEADER, f"{label(keyword)} is missing or malformed")
        count, first, bits = read_descriptor(root, keyword)
        if not 1 <= bits <= 16:
            raise InputError(ErrorCode.CORRUPT_HEADER, f"{label(keyword)} is missing or malformed")
        if first >= 2**15 and root.integer("PixelRepresentation") == 1:  # a negative value, written as an unsigned one
            first -= 2**16
        channels.append((first, bits, _read_channel(root, color, count, bits, big_endian=big_endian)))
    first = min(first for first, _, _ in channels)
    last = max(first + len(values) for first, _, values in channels)
    alike = len({bits for _, bits, _ in channels}) == 1
    greatest = max(int(values.max()) for _, _, values in channels)
    columns = []
    for start, bits, values in channels:
        entries = _to_16_bits(values, bits, greatest if alike else int(values.max()))
        columns.append(np.pad(entries, (start - first, last - start - len(entries)), "edge"))
    return np.stack(columns, axis=-1), first


def read_supplement(frame: FrameAttributes, *, big_endian: bool) -> tuple[Palette | None, tuple[str, ...]]:
    """The palette that colors a gray image from its first stored value on (PS3.3 C.8.16.2.1.1.1), and a note.

    None where Pixel Presentation of the frame, else of the file, does not ask for colors or there is no palette.
    """
    root = frame.root
    if root.code("PixelPresentation") not in _COLORED or not root.has_value("RedPaletteColorLookupTableDescriptor"):
        return None, ()
    kinds = (frame.find(macro, "PixelPresentation") for macro in _FRAME_TYPES) if frame.is_grouped else ()
    stated = next((kind for kind in kinds if kind is not root), root)
    if stated.code("PixelPresentation") not in _COLORED:
        return None, ()
    try:
        palette, first = read_palette(root, big_endian=big_endian)
    except InputError as error:
        return None, (f"{label('PixelPresentation')} asks for colors, which are not applied: {error.detail}",)
    return (palette, first), (f"stored values from {first} on are drawn in the colors of the supplemental palette",)


def read_icc_profile(root: Attributes) -> bytes | None:
    """The ICC profile of a color image, also where it is that of an optical path (PS3.3 C.11.15)."""
    path = root.item("OpticalPathSequence")
    return root.content("ICCProfile") or (path.content("ICCProfile") if path is not None else None)


def _to_16_bits(values: NDArray[np.uint16], bits: int, greatest: int) -> NDArray[np.uint16]:
    """Entries scaled to 16 bits: from 8 where none is greater, whatever is said, else from the descriptor's `bits`."""
    used = next(candidate for candidate in (8, max(bits, 8), 16) if greatest < 2**candidate)
    return np.rint(values * (65535 / (2**used - 1))).astype(np.uint16)


def _read_channel(root: Attributes, color: str, count: int, bits: int, *, big_endian: bool) -> NDArray[np.uint16]:
    segmented = f"Segmented{color}PaletteColorLookupTableData"
    keyword = segmented if segmented in root else f"{color}PaletteColorLookupTableData"
    words, raw = read_entries(root, keyword, big_endian=big_endian)
    if not raw:
        raise InputError(ErrorCode.CORRUPT_HEADER, f"{label(keyword)} is missing or empty")
    packed = bits == 8 and (len(words) < count if keyword != segmented else bool(np.any(words >> 8)))
    values = np.frombuffer(raw, np.uint8).astype(np.uint16) if packed else words
    if keyword == segmented:
        try:
            values = np.array(list(_expand_segments(values.tolist(), count)), np.uint16)
        except IndexError as error:
            raise InputError(ErrorCode.CORRUPT_HEADER, f"{label(keyword)} is truncated") from error
    if len(values) == 0:
        raise InputError(ErrorCode.CORRUPT_HEADER, f"{label(keyword)} is empty")
    return np.pad(values[:count], (0, max(0, count - len(values))), "edge")


def _expand_segments(data: list[int], count: int, depth: int = 0) -> Iterator[int]:
    """Entries of a segmented table, at most `count` of them (PS3.3 C.7.9.2)."""
    at, made, last = 0, 0, 0
    while at < len(data) and made < count:
        kind, length = data[at], data[at + 1]
        if kind == _DISCRETE:
            entries = data[at + 2 : at + 2 + length]
            at += 2 + length
            if at > len(data):
                raise IndexError
        elif kind == _LINEAR:
            end = data[at + 2]
            entries = [round(last + (end - last) * step / length) for step in range(1, length + 1)]
            at += 3
        elif kind == _INDIRECT and depth == 0:
            start = data[at + 2] | data[at + 3] << 16
            entries = list(_expand_segments(_segments(data, start, min(length, count - made)), count - made, depth=1))
            at += 4
        else:
            raise IndexError
        yield from entries
        made, last = made + len(entries), entries[-1] if entries else last


def _segments(data: list[int], start: int, number: int) -> list[int]:
    """The `number` segments that begin at `start`; none of them is empty, so there are no more of them than entries."""
    at = start
    for _ in range(number):
        if data[at + 1] == 0:
            raise IndexError
        at += 2 + data[at + 1] if data[at] == _DISCRETE else 3
    return data[start:at]
