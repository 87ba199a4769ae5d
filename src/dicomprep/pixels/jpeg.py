"""Arrays to JPEG files and back: gray or RGB of 8 bits, by libjpeg-turbo (ITU-T T.81, T.871)."""

from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray

__all__ = ["SIGNATURE", "decode_jpeg", "encode_jpeg", "is_own_jpeg"]

SIGNATURE = b"\xff\xd8\xff"
MARK = b"\xff\xfe\x00\x0bdicomprep"
"""A comment (T.81 B.2.4.5) that says which program made the file."""

MARKED = 20
"""Where it stands: behind the start and the segment of JFIF, which comes first (T.871 6.1)."""

END = b"\xff\xd9"


def encode_jpeg(pixels: NDArray[Any], *, quality: int) -> bytes:
    """Encode pixels as a JPEG file: the same bytes for the same pixels by the same library.

    `pixels` is (rows, columns) or (rows, columns, 3), uint8. No color is subsampled: channels may be windows.
    """
    samples = np.ascontiguousarray(pixels if pixels.ndim == 3 else pixels[..., np.newaxis])
    kind = "RGB" if pixels.ndim == 3 else "GRAY"
    subsampling = "444" if pixels.ndim == 3 else "Gray"
    content = simplejpeg.encode_jpeg(samples, quality=quality, colorspace=kind, colorsubsampling=subsampling)
    return bytes(content[:MARKED] + MARK + content[MARKED:])


def is_own_jpeg(content: bytes) -> bool:
    """Whether a JPEG file, of which the first bytes are enough, says that `encode_jpeg` made it."""
    return content.startswith(SIGNATURE) and content[MARKED : MARKED + len(MARK)] == MARK


def decode_jpeg(content: bytes) -> NDArray[Any]:
    """Decode a JPEG file. Returns (rows, columns) or (rows, columns, 3), uint8.

    Raises ValueError where `content` is none, or is cut.
    """
    if not content.endswith(END):  # the library fills in what is missing
        raise ValueError("no whole JPEG file: its end is missing")
    try:
        kind = "GRAY" if simplejpeg.decode_jpeg_header(content)[2] == "Gray" else "RGB"
        pixels = simplejpeg.decode_jpeg(content, colorspace=kind, strict=True)
    except ValueError as error:
        raise ValueError(f"no whole JPEG file: {error}") from error
    return np.asarray(pixels[..., 0] if kind == "GRAY" else pixels)
