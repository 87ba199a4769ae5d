"""RLE Lossless: byte planes of each sample, most significant first, in PackBits (DICOM PS3.5 annex G)."""

import struct
from dataclasses import dataclass

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.codecs import native
from dicomprep.pixels.codecs.base import Decoded, Detail, are_installed
from dicomprep.pixels.codecs.transfer_syntaxes import ENCAPSULATED_UNCOMPRESSED, RLE_LOSSLESS
from dicomprep.pixels.stored import Layout, expand_bits

__all__ = ["DEPENDENCIES", "TRANSFER_SYNTAXES", "count_segments", "decode", "is_available", "unpack_planes"]

TRANSFER_SYNTAXES = frozenset({RLE_LOSSLESS})
DEPENDENCIES: tuple[str, ...] = ("imagecodecs",)

MAX_SEGMENTS = 15
"""Segments of an RLE frame (PS3.5 G.5)."""

MAX_TRAILING_BYTES = 64
"""Bytes after a plane that may be anything: padding of another kind, a gap before the next segment."""

MIN_HOLE_BYTES = 192
"""Consecutive zero bytes that no encoder writes: zeros are coded as runs, and literally 128 at a time."""


@dataclass(frozen=True, slots=True)
class _Walk:
    """How far a segment was followed."""

    end: int
    """In the frame, behind the last byte that was needed."""
    held: int
    """Bytes of the plane up to there."""


def is_available() -> bool:
    """Whether a PackBits decoder can be loaded."""
    return are_installed(DEPENDENCIES)


def decode(data: bytes, layout: Layout, *, transfer_syntax: str, detail: Detail) -> Decoded:
    """Decode one frame of RLE Lossless (PS3.5 annex G); single bits are packed.

    Returns (rows, columns) or (rows, columns, 3) of `layout.dtype`. Raises InputError `truncated`, `corrupt_pixels`.
    """
    width = layout.bits_allocated // 8
    plane_bytes = (layout.rows * layout.columns * min(8, layout.bits_allocated) + 7) // 8
    planes = unpack_planes(data, count=layout.samples * width if width else None, plane_bytes=plane_bytes)
    if width == 0:
        return native.decode(planes.tobytes(), layout, transfer_syntax=ENCAPSULATED_UNCOMPRESSED, detail=detail)
    planar = planes.reshape(layout.samples, width, layout.rows, layout.columns)
    samples = np.ascontiguousarray(np.moveaxis(planar, (0, 1), (2, 3))).view(f">u{width}")[..., 0]
    pixels = samples.astype(layout.dtype)
    pixels = pixels[..., 0] if layout.samples == 1 else pixels
    return Decoded(
        expand_bits(pixels, layout), layout.photometric_interpretation, layout.bits_stored, "imagecodecs PackBits"
    )


def count_segments(data: bytes) -> int:
    """How many segments the header of a frame names; 0 where there is no such header."""
    (count, first) = struct.unpack("<2I", data[:8].ljust(8, b"\0"))
    return count if 1 <= count <= MAX_SEGMENTS and first >= 64 else 0


def unpack_planes(data: bytes, *, count: int | None, plane_bytes: int) -> NDArray[np.uint8]:
    """Unpack the byte planes of a frame, most significant first (PS3.5 G.2).

    Segments may lie in any order and with gaps between them (G.5 has only their offsets). Returns (segments,
    plane_bytes) uint8. Raises InputError where `count` is not the header's, or a plane is not full, or far too full.
    """
    segments = _find_segments(data)
    if count is not None and len(segments) != count:
        message = f"RLE frame has {len(segments)} segments instead of {count}"
        raise InputError(ErrorCode.CORRUPT_PIXELS, message)
    planes = [_unpack(data, start, end, plane_bytes) for start, end in segments]
    return np.frombuffer(b"".join(planes), np.uint8).reshape(len(planes), plane_bytes)


def _find_segments(data: bytes) -> list[tuple[int, int]]:
    """Where each segment begins, and the next one in the file does; InputError where that cannot be in `data`."""
    count, *offsets = struct.unpack("<16I", data[:64].ljust(64, b"\0"))
    used = offsets[:count]
    in_order = [*sorted(used), len(data)]
    if not 1 <= count <= MAX_SEGMENTS or in_order[0] < 64 or in_order[-2] >= len(data) or len(set(used)) != count:
        raise InputError(ErrorCode.CORRUPT_PIXELS, "RLE header refers to missing segments")
    return [(start, in_order[in_order.index(start) + 1]) for start in used]


def _unpack(data: bytes, start: int, end: int, wanted: int) -> bytes:
    """One plane. What comes after it is padding, which need not be code: it is not looked at."""
    try:
        plane = bytes(imagecodecs.packbits_decode(data[start:end]))
    except imagecodecs.PackbitsError:
        plane = b""
    hole = data.find(bytes(MIN_HOLE_BYTES), start, end)
    if hole >= 0 and hole + MIN_HOLE_BYTES <= _walk(data, start, wanted).end:
        message = f"codestream damaged: {MIN_HOLE_BYTES} or more consecutive zero bytes"
        raise InputError(ErrorCode.CORRUPT_PIXELS, message)
    if wanted <= len(plane) <= wanted + wanted // 64 + 1024:
        return plane[:wanted]
    walk = _walk(data, start, wanted)
    if walk.held < wanted or walk.end > end:
        held = min(walk.held, len(plane) or walk.held)
        message = f"pixel data truncated: {held:,} of {wanted:,} bytes of a byte plane"
        raise InputError(ErrorCode.TRUNCATED, message)
    if end - walk.end > MAX_TRAILING_BYTES + (walk.end - start) // 64:
        raise InputError(
            ErrorCode.CORRUPT_PIXELS, f"RLE byte plane of more than {wanted:,} bytes contradicts Rows/Columns"
        )
    return bytes(imagecodecs.packbits_decode(data[start : walk.end]))[:wanted]


def _walk(data: bytes, at: int, wanted: int) -> _Walk:
    """Follow the runs until the plane is full or the frame ends (G.3.2)."""
    held = 0
    while held < wanted and at < len(data):
        code = data[at]
        size = 2 if code > 128 else 1 if code == 128 else code + 2
        if at + size > len(data):
            break
        held += 257 - code if code > 128 else 0 if code == 128 else code + 1
        at += size
    return _Walk(at, held)
