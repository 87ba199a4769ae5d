"""Palette Color Lookup Tables (DICOM PS3.3 C.7.6.3.1.5, C.7.6.3.1.6, C.7.9.2)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dicomprep.dicom.attributes import Attributes, label
from dicomprep.errors import ErrorCode, InputError

__all__ = ["read_palette"]

_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2


def read_palette(root: Attributes, *, big_endian: bool) -> tuple[NDArray[np.uint16], int]:
    """The palette, (entries, 3) of 16 significant bits, and the stored value that its first entry stands for."""
    channels: list[NDArray[np.uint16]] = []
    count = first = 0
    for color in ("Red", "Green", "Blue"):
        keyword = f"{color}PaletteColorLookupTableDescriptor"
        descriptor = root.integers(keyword)
        if len(descriptor) != 3 or descriptor[2] not in (8, 16):
            raise InputError(ErrorCode.CORRUPT_HEADER, f"{label(keyword)} is missing or malformed")
        if channels and (count, first) != (descriptor[0] or 65536, descriptor[1]):
            raise InputError(ErrorCode.CORRUPT_HEADER, f"{label(keyword)} differs from that of red")
        count, first = descriptor[0] or 65536, descriptor[1]
        values = _read_channel(root, color, count, descriptor[2], big_endian=big_endian)
        channels.append(np.pad(values[:count], (0, max(0, count - len(values))), "edge"))
    palette = np.stack(channels, axis=-1)
    return (palette * np.uint16(257) if int(palette.max()) < 256 else palette), first


def _read_channel(root: Attributes, color: str, count: int, bits: int, *, big_endian: bool) -> NDArray[np.uint16]:
    segmented = f"Segmented{color}PaletteColorLookupTableData"
    keyword = segmented if segmented in root else f"{color}PaletteColorLookupTableData"
    raw = root.content(keyword)
    if raw is None:
        raise InputError(ErrorCode.CORRUPT_HEADER, f"{label(keyword)} is missing or empty")
    words = np.frombuffer(raw[: len(raw) // 2 * 2], ">u2" if big_endian else "<u2").astype(np.uint16)
    packed = bits == 8 and (keyword == segmented or len(words) < count)
    values = np.frombuffer(raw, np.uint8).astype(np.uint16) if packed else words
    if keyword == segmented:
        try:
            values = np.array(list(_expand_segments(values.tolist(), count)), np.uint16)
        except IndexError as error:
            raise InputError(ErrorCode.CORRUPT_HEADER, f"{label(keyword)} breaks off") from error
    if len(values) == 0:
        raise InputError(ErrorCode.CORRUPT_HEADER, f"{label(keyword)} holds no entry")
    return values


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
            entries = list(_expand_segments(_segments(data, start, length), count - made, depth=1))
            at += 4
        else:
            raise IndexError
        yield from entries
        made, last = made + len(entries), entries[-1] if entries else last


def _segments(data: list[int], start: int, number: int) -> list[int]:
    """The `number` segments that begin at `start`."""
    at = start
    for _ in range(number):
        at += 2 + data[at + 1] if data[at] == _DISCRETE else 3
    return data[start:at]
