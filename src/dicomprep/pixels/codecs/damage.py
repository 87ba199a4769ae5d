"""Damage inside coded data that shows in the bytes themselves: holes of zeros, and markers where none can be.

Arithmetic and Huffman codes are as good as random, so that long runs of zeros are no encoder's work: a disk or a
transfer left them. Decoders draw something in their place and say nothing (ITU-T T.81, T.87, T.800).
"""

import re
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.codecs.markers import find_segment, header_segments

__all__ = [
    "find_markers",
    "require_huffman_tables",
    "require_sound_jpeg_ls",
    "require_sound_packets",
    "require_sound_scan",
]

MIN_PACKET_ZERO_BYTES = 64
"""Consecutive zero bytes beyond those that empty JPEG 2000 packets may be, of which each is one."""

PART, EVERY = 128, 8
"""Rows and columns of a part of a picture that may be a test pattern, and of how many rows one is looked at."""

MIN_STEP_SHARE, MIN_REPEATED_SHARE = 0.01, 0.75
"""Share of its pixels that differ from their neighbors, at least, and of these steps that come back."""

MIN_HUFFMAN_ZERO_BYTES = 64
"""Consecutive zero bytes: some blocks of nothing but one and the same coefficient."""

MIN_GOLOMB_ZERO_BYTES = 32
"""Consecutive zero bytes; JPEG-LS has a one after some 80 zero bits at the latest (T.87 A.5.3)."""

_PRECINCTS, _BYPASS, _HIGH_THROUGHPUT = 1, 1, 0x40
"""Bits of the style of coding, and of that of code-blocks (T.800 tables A.13, A.19)."""

_IMPOSSIBLE = re.compile(b"\xff[\x90\x93-\xff]")
"""In JPEG 2000 packets, where no more than 8F follows FF; 91 and 92 may be put between them."""

_AC, _END_OF_BLOCK = 1, 0
_RESTART, _END, _SCAN, _LINES = 0xD0, 0xD9, 0xDA, 0xDC
"""Codes of JPEG markers: RST0, EOI, SOS, and DNL, which may stand behind a scan as restarts do within it."""


def find_markers(data: bytes, start: int = 0) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    """Find JPEG markers in coded data from `start` on: what follows FF and is neither 00 nor FF (T.81 B.1.1.2).

    Returns their places (markers,) and their codes (markers,), uint8.

    >>> [part.tolist() for part in find_markers(bytes.fromhex("ffd80011ff00ffd9"))]
    [[0, 6], [216, 217]]
    """
    content = np.frombuffer(data, np.uint8)
    places = np.flatnonzero(content[start:-1] == 0xFF) + start
    codes = content[places + 1]
    are_markers = (codes != 0) & (codes != 0xFF)
    return places[are_markers], codes[are_markers]


def require_sound_packets(data: bytes, decode: Callable[[], NDArray[Any]]) -> None:
    """Refuse a bare JPEG 2000 codestream of which a tile-part holds what no encoder writes (T.800 B.10).

    `decode` gives its pixels, (rows, columns[, 3]): only of those that repeat themselves, as test patterns do, coders
    write zeros. Raises InputError `corrupt_pixels`.
    """
    coding, _ = find_segment(data, 2, 0x52)
    # what is stored bit by bit, and not coded arithmetically, may be zeros for longer
    is_arithmetic = len(coding) > 9 and not coding[8] & (_BYPASS | _HIGH_THROUGHPUT)
    longest = MIN_PACKET_ZERO_BYTES + _count_packets(data, coding) if is_arithmetic else len(data)
    for start, end in _tile_parts(data):
        if _IMPOSSIBLE.search(data, start, end):
            raise InputError(ErrorCode.CORRUPT_PIXELS, "codestream damaged: marker within packet data")
        if data.find(bytes(longest), start, end) >= 0 and not repeats_itself(decode()):
            raise _hole(longest)


def repeats_itself(pixels: NDArray[Any]) -> bool:
    """Whether in some part of a picture most steps between neighbors come back exactly, some pixels further on."""
    plane = (pixels if pixels.ndim == 2 else pixels[..., 0]).astype(np.int64)
    return any(_repeats_along_rows(way) for way in (plane, plane.T))


def _repeats_along_rows(plane: NDArray[np.int64]) -> bool:
    steps = np.diff(plane, axis=1)
    rows, columns = (range(0, max(1, length - PART // 2), PART) for length in steps.shape)
    parts = (steps[row : row + PART : EVERY, column : column + PART] for row in rows for column in columns)
    return any(_is_periodic(part) for part in parts)


def _is_periodic(steps: NDArray[np.int64]) -> bool:
    there = np.count_nonzero(steps)
    periods = range(2, steps.shape[1] // 2) if there > MIN_STEP_SHARE * steps.size else ()
    again = (np.count_nonzero((steps[:, :-n] == steps[:, n:]) & (steps[:, n:] != 0)) for n in periods)
    return any(count > MIN_REPEATED_SHARE * there for count in again)


def _tile_parts(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the packets of each begin and end."""
    _, at = find_segment(data, 2, None)
    while data[at : at + 2] == b"\xff\x90":
        length = int.from_bytes(data[at + 6 : at + 10], "big")
        end = at + length if length else len(data) - 2
        _, start = find_segment(data, at + 12, None, end)
        yield start + 2, end
        at = max(end, at + 12)


def _count_packets(data: bytes, coding: bytes) -> int:
    """As many as a tile may have: one for each layer, component and precinct of each resolution (T.800 B.6, B.9)."""
    x1, y1, _, _, tile_columns, tile_rows = struct.unpack(">6I", data[8:32])
    columns, rows = min(x1, tile_columns), min(y1, tile_rows)
    levels, sizes = coding[5], coding[10:] if coding[0] & _PRECINCTS else b""
    precincts = 0
    for resolution in range(levels + 1):
        size = sizes[resolution] if resolution < len(sizes) else 0xFF
        across, down = (length >> (levels - resolution) for length in (columns, rows))
        precincts += ((across >> (size & 15)) + 1) * ((down >> (size >> 4)) + 1)
    return int.from_bytes(coding[2:4], "big") * int.from_bytes(data[40:42], "big") * precincts


def require_sound_scan(data: bytes) -> None:
    """InputError `corrupt_pixels` where a sequential JPEG codestream of one scan has a hole, or a marker in its code.

    A hole is told only where a code of zeros is not the end of a block, which it is in tables made for flat images.
    """
    *_, (_, _, scan) = header_segments(data)
    places, codes = find_markers(data, scan)
    if (codes == _SCAN).any():
        return
    ends = np.flatnonzero(codes == _END)
    within = codes[: ends[0]] if ends.size else codes
    end = int(places[ends[0]]) if ends.size else len(data)
    if any(symbol != _END_OF_BLOCK for key, symbol in _huffman_tables(data).items() if key >> 4 == _AC):
        _require_no_hole(data, scan, end, MIN_HUFFMAN_ZERO_BYTES)
    restarts = within[(within & 0xF8) == _RESTART] & 7
    in_order = bool((restarts == np.arange(restarts.size) % 8).all())
    in_order &= not restarts.size or b"\xff\xdd" in data[:scan]
    is_stray = ((within & 0xF8) != _RESTART) & (within != _LINES)
    if is_stray.any() or not in_order:
        raise InputError(ErrorCode.CORRUPT_PIXELS, "codestream damaged: marker within entropy-coded data")


def require_huffman_tables(data: bytes) -> None:
    """InputError `corrupt_pixels` where one is missing: libjpeg takes that of motion JPEG instead, and says nothing."""
    *_, (_, scan, _) = header_segments(data)
    asked = scan[2 : 1 + 2 * scan[0] : 2] if scan else b""
    wanted = {key for pair in asked for key in (pair >> 4, 0x10 | pair & 15)}
    if not wanted <= _huffman_tables(data).keys():
        raise InputError(ErrorCode.CORRUPT_PIXELS, "codestream damaged: missing Huffman table")


def require_sound_jpeg_ls(data: bytes) -> None:
    """InputError `corrupt_pixels` where a JPEG-LS codestream has a hole."""
    scan = data.find(b"\xff\xda")
    if scan >= 0:
        _require_no_hole(data, scan, data.rfind(b"\xff\xd9"), MIN_GOLOMB_ZERO_BYTES)


def _require_no_hole(data: bytes, start: int, end: int, longest: int) -> None:
    if data.find(bytes(longest), start, end) >= 0:
        raise _hole(longest)


def _hole(length: int) -> InputError:
    message = f"codestream damaged: {length} or more consecutive zero bytes"
    return InputError(ErrorCode.CORRUPT_PIXELS, message)


def _huffman_tables(data: bytes) -> dict[int, int]:
    """What a code of zeros means in each table, by its class (0 DC, 1 AC) and number in half a byte (T.81 B.2.4.2)."""
    tables = {}
    for marker, segment, _ in header_segments(data):
        at = 0
        while marker == 0xC4 and at + 17 < len(segment):
            tables[segment[at]] = segment[at + 17]
            at += 17 + sum(segment[at + 1 : at + 17])
    return tables
