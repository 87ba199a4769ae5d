"""Palette Color Lookup Tables (DICOM PS3.3 C.7.6.3.1.5, C.7.6.3.1.6, C.7.9.2)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dicomprep.dicom.attributes import Attributes, label
from dicomprep.errors import ErrorCode, InputError

__all__ = ["read_palette"]

_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2


def read_palette(root: Attributes, *, big_endian: bool) -> tuple[NDArray[np.uint16], int]:
    """The palette, (entries, 3) of 16 significant bits, and the stored value that its first entry stands for.

    A channel that begins later or ends sooner than the others goes on with its first or last entry.
    """
    channels: list[tuple[int, int, NDArray[np.uint16]]] = []
    for color in ("Red", "Green", "Blue"):
        keyword = f"{color}PaletteColorLookupTableDescriptor"
        descriptor = root.integers(keyword)
        if len(descriptor) != 3 or not 1 <= descriptor[2] <= 16:
            raise InputError(ErrorCode.CORRUPT_HEADER, f"{label(keyword)} is missing or malformed")
        count, first, bits = descriptor
        channels.append((first, bits, _read_channel(root, color, count or 65536, bits, big_endian=big_endian)))
    first = min(first for first, _, _ in channels)
    last = max(first + len(values) for first, _, values in channels)
    alike = len({bits for _, bits, _ in channels}) == 1
    greatest = max(int(values.max()) for _, _, values in channels)
    columns = []
    for start, bits, values in channels:
        entries = _to_16_bits(values, bits, greatest if alike else int(values.max()))
        columns.append(np.pad(entries, (start - first, last - start - len(entries)), "edge"))
    return np.stack(columns, axis=-1), first


def _to_16_bits(values: NDArray[np.uint16], bits: int, greatest: int) -> NDArray[np.uint16]:
    """Entries scaled to 16 bits: from 8 where none is greater, whatever is said, else from the descriptor's `bits`."""
    used = next(candidate for candidate in (8, max(bits, 8), 16) if greatest < 2**candidate)
    return np.rint(values * (65535 / (2**used - 1))).astype(np.uint16)


def _read_channel(root: Attributes, color: str, count: int, bits: int, *, big_endian: bool) -> NDArray[np.uint16]:
    segmented = f"Segmented{color}PaletteColorLookupTableData"
    keyword = segmented if segmented in root else f"{color}PaletteColorLookupTableData"
    raw = root.content(keyword)
    if raw is None and keyword in root:  # written as numbers, not as words
        raw, big_endian = (np.array(root.integers(keyword), np.int64) & 0xFFFF).astype("<u2").tobytes(), False
    if not raw:
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
