"""Arrays to PNG files and back: gray or RGB, 8 or 16 bits (ISO/IEC 15948).

Libraries choose a filter for each row by trying all five, and compress with plain zlib. One filter for all rows and
libdeflate take a third of the time or less, for files that are no larger.
"""

import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

__all__ = ["SIGNATURE", "decode_png", "encode_png", "is_own_png"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MARK = struct.pack(">I4s", 0, b"dpRM") + struct.pack(">I", zlib.crc32(b"dpRM"))
"""An empty private chunk (ISO/IEC 15948, 5.4) that says which program made the file."""

MARKED = 33
"""Where it stands: behind the signature and the header of the image."""

END = b"IEND\xaeB`\x82"
UP = 2
"""The filter that stores each byte as its difference to the one above (9.2)."""

IDAT = MARKED + len(MARK)
"""Where the chunk of the pixels begins in a file of this program's making."""

MAX_BYTES = 2**29
"""More than the largest thumbnail has."""

EVEN = 0.6
"""Above this share of zeros after filtering zlib-ng is faster, up to four times; below libdeflate, up to two times."""


def encode_png(pixels: NDArray[Any]) -> bytes:
    """Encode pixels as a PNG file: the same bytes for the same pixels (ISO/IEC 15948).

    `pixels` is (rows, columns) or (rows, columns, 3), uint8 or uint16.
    """
    rows, columns = pixels.shape[:2]
    samples = pixels if pixels.itemsize == 1 else pixels.astype(">u2")
    plain = np.ascontiguousarray(samples).reshape(rows, -1).view(np.uint8)
    filtered = np.empty((rows, plain.shape[1] + 1), np.uint8)
    filtered[:, 0] = UP
    filtered[0, 1:] = plain[0]
    np.subtract(plain[1:], plain[:-1], out=filtered[1:, 1:])
    color_type = 2 if pixels.ndim == 3 else 0
    header = struct.pack(">2I5B", columns, rows, 8 * pixels.itemsize, color_type, 0, 0, 0)
    return SIGNATURE + _chunk(b"IHDR", header) + MARK + _chunk(b"IDAT", _compress(filtered)) + _chunk(b"IEND", b"")


def is_own_png(content: bytes) -> bool:
    """Whether a PNG file, of which the first bytes are enough, says that `encode_png` made it."""
    return content.startswith(SIGNATURE) and content[MARKED:IDAT] == MARK


def decode_png(content: bytes) -> NDArray[Any]:
    """Decode a PNG file.

    Returns (rows, columns) or (rows, columns, 3), uint8 or uint16. Raises ValueError where `content` is none, or is
    cut. What `encode_png` made is read in less than half of the time that libraries take, for its filter is known.

    >>> decode_png(encode_png(np.array([[0, 65535]], np.uint16))).tolist()
    [[0, 65535]]
    """
    if not content.endswith(END):  # the library reads what is cut as far as it goes
        raise ValueError("no whole PNG file: its end is missing")
    try:
        pixels = _decode_own(content)
        return np.asarray(imagecodecs.png_decode(content)) if pixels is None else pixels
    except (struct.error, RuntimeError) as error:
        raise ValueError(f"no whole PNG file: {error}") from error


def _decode_own(content: bytes) -> NDArray[Any] | None:
    """What `encode_png` made; None for any other file."""
    columns, rows, depth, color_type = struct.unpack_from(">2I2B", content, 16)
    (length,) = struct.unpack_from(">I", content, IDAT)
    one_chunk = content[IDAT + 4 : IDAT + 8] == b"IDAT" and len(content) == IDAT + length + 24
    if not one_chunk or depth not in (8, 16) or color_type not in (0, 2) or content[:8] != SIGNATURE or content[28]:
        return None
    samples = 3 if color_type == 2 else 1
    width = 1 + columns * samples * depth // 8
    if rows * width > MAX_BYTES:
        raise ValueError(f"{rows} rows of {columns} columns are more than a thumbnail has")
    unpacked = imagecodecs.deflate_decode(content[IDAT + 8 : IDAT + 8 + length], out=rows * width)
    filtered = np.frombuffer(unpacked, np.uint8)
    if filtered.size != rows * width or (filtered[::width] != UP).any():
        return None
    plain = _sum_down(np.ascontiguousarray(filtered.reshape(rows, width)[:, 1:]))
    pixels = plain if depth == 8 else plain.view(">u2").astype(np.uint16)
    return pixels.reshape((rows, columns, 3) if samples == 3 else (rows, columns))


def _sum_down(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each row plus all above it, modulo 256, in steps of 1, 2, 4 … rows: five times as fast as `np.add.accumulate`."""
    other, step = np.empty_like(rows), 1
    while step < len(rows):
        np.add(rows[step:], rows[:-step], out=other[step:])
        other[:step] = rows[:step]
        rows, other, step = other, rows, 2 * step
    return rows


def _compress(filtered: NDArray[np.uint8]) -> bytes:
    """As small as zlib's level 1, by the encoder that is faster for such bytes."""
    if np.count_nonzero(filtered) < (1 - EVEN) * filtered.size:
        return bytes(imagecodecs.zlibng_encode(filtered.tobytes(), level=2))
    return bytes(imagecodecs.deflate_encode(filtered.tobytes(), level=1))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))
