"""Arrays to PNG files: grey or RGB, 8 or 16 bits (ISO/IEC 15948).

Libraries choose a filter for each row by trying all five, and compress with plain zlib. One filter for all rows and
libdeflate take a third of the time or less, for files that are no larger.
"""

import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

__all__ = ["SIGNATURE", "encode_png", "is_own_png"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEAD = struct.Struct(">8sI4sIIBB3sII4s")
"""Signature and first chunk, and how the next one begins."""

MOST_TOLD = 2**22
"""So many inflated bytes tell how a file was made."""

UP = 2
"""The filter that stores each byte as its difference to the one above (9.2)."""

EVEN = 0.6
"""Above this share of zeros after filtering zlib-ng is faster, up to four times; below libdeflate, up to two times."""


def encode_png(pixels: NDArray[Any]) -> bytes:
    """A PNG file of (rows, columns) or (rows, columns, 3) uint8 or uint16; the same bytes for the same pixels."""
    rows, columns = pixels.shape[:2]
    samples = pixels if pixels.itemsize == 1 else pixels.astype(">u2")
    plain = np.ascontiguousarray(samples).reshape(rows, -1).view(np.uint8)
    filtered = np.empty((rows, plain.shape[1] + 1), np.uint8)
    filtered[:, 0] = UP
    filtered[0, 1:] = plain[0]
    np.subtract(plain[1:], plain[:-1], out=filtered[1:, 1:])
    color_type = 2 if pixels.ndim == 3 else 0
    header = struct.pack(">2I5B", columns, rows, 8 * pixels.itemsize, color_type, 0, 0, 0)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", _compress(filtered)) + _chunk(b"IEND", b"")


def is_own_png(content: bytes) -> bool:
    """Whether a PNG file, whole or cut, has the form that `encode_png` gives: one filter for all rows, no other chunks.

    What is too broken to tell is taken as such.
    """
    head = content[: HEAD.size]
    if len(head) < HEAD.size:
        return True
    _, _, _, columns, _, bits, color_type, _, _, size, kind = HEAD.unpack(head)
    if kind != b"IDAT":
        return False
    stride = columns * (3 if color_type == 2 else 1) * bits // 8 + 1
    try:
        rows = zlib.decompressobj().decompress(content[HEAD.size : HEAD.size + size], MOST_TOLD)
    except zlib.error:
        return True
    return set(rows[::stride]) <= {UP}


def _compress(filtered: NDArray[np.uint8]) -> bytes:
    """As small as zlib's level 1, by the encoder that is faster for such bytes."""
    if np.count_nonzero(filtered) < (1 - EVEN) * filtered.size:
        return bytes(imagecodecs.zlibng_encode(filtered.tobytes(), level=2))
    return bytes(imagecodecs.deflate_encode(filtered.tobytes(), level=1))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))
