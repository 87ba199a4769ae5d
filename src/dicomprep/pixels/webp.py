"""Arrays to WebP files and back: gray or RGB of 8 bits, by libwebp (RFC 9649).

WebP has no gray images. A chunk of this program's own at the end, which others pass over, says that one was gray.
"""

import struct
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

__all__ = ["SIGNATURE", "decode_webp", "encode_webp", "is_own_webp"]

SIGNATURE = b"RIFF"
MARK = b"dpRM"
_GRAY, _COLOR = b"\x01\x00", b"\x03\x00"
"""What is behind it: channels, and a byte that fills the chunk up to an even length."""

_SIMPLE = 12
"""Where the chunk of the pixels begins in a file without metadata."""

METHOD, LOSSLESS_EFFORT = 2, 20
"""From 0 to 6, and from 0 to 100: with libwebp's own 4 and 75 it takes three times as long for 2 to 7 % less."""


def encode_webp(pixels: NDArray[Any], *, quality: int | None) -> bytes:
    """Encode pixels as a WebP file, lossless where no quality is given: the same bytes by the same library.

    `pixels` is (rows, columns) or (rows, columns, 3), uint8, of at most 16,383 rows and columns.
    """
    samples = pixels if pixels.ndim == 3 else np.repeat(pixels[..., np.newaxis], 3, axis=-1)
    content = imagecodecs.webp_encode(
        np.ascontiguousarray(samples),
        level=LOSSLESS_EFFORT if quality is None else quality,
        lossless=quality is None,
        method=METHOD,
    )
    rows, columns = pixels.shape[:2]
    extended = struct.pack("<4sI4x", b"VP8X", 10) + _three_bytes(columns - 1) + _three_bytes(rows - 1)
    marked = MARK + struct.pack("<I", 1) + (_COLOR if pixels.ndim == 3 else _GRAY)
    body = b"WEBP" + extended + content[_SIMPLE:] + marked
    return b"RIFF" + struct.pack("<I", len(body)) + body


def is_own_webp(content: bytes) -> bool:
    """Whether a whole WebP file says that `encode_webp` made it."""
    return content.startswith(SIGNATURE) and content[8:12] == b"WEBP" and content[-10:-6] == MARK


def decode_webp(content: bytes) -> NDArray[Any]:
    """Decode a WebP file. Returns (rows, columns) where `encode_webp` says it, else (rows, columns, 3), uint8.

    Raises ValueError where `content` is none, or is cut.
    """
    if len(content) < _SIMPLE or struct.unpack_from("<I", content, 4)[0] + 8 != len(content):
        raise ValueError("no whole WebP file: its length is not what it says")
    try:
        pixels = np.asarray(imagecodecs.webp_decode(content))
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"no whole WebP file: {error}") from error
    is_gray = is_own_webp(content) and content.endswith(_GRAY)
    return np.ascontiguousarray(pixels[..., 1]) if is_gray else pixels


def _three_bytes(number: int) -> bytes:
    return struct.pack("<I", number)[:3]
