"""Images as files of any format: arrays to bytes and back. What a file is, its first bytes say."""

from collections.abc import Callable
from typing import Any, NamedTuple

from numpy.typing import NDArray

from dicomprep.pixels import jpeg, npy, png, webp
from dicomprep.pixels.encoding import Encoding, ImageFormat
from dicomprep.pixels.jpeg import encode_jpeg
from dicomprep.pixels.npy import encode_npy
from dicomprep.pixels.png import encode_png
from dicomprep.pixels.webp import encode_webp

__all__ = ["as_png", "decode_image", "encode_image", "is_own_image"]


class _Reader(NamedTuple):
    signature: bytes
    decode: Callable[[bytes], NDArray[Any]]
    is_own: Callable[[bytes], bool]


_READERS = (
    _Reader(png.SIGNATURE, png.decode_png, png.is_own_png),
    _Reader(jpeg.SIGNATURE, jpeg.decode_jpeg, jpeg.is_own_jpeg),
    _Reader(webp.SIGNATURE, webp.decode_webp, webp.is_own_webp),
    _Reader(npy.SIGNATURE, npy.decode_npy, npy.is_own_npy),
)


def encode_image(pixels: NDArray[Any], encoding: Encoding) -> bytes:
    """Encode `pixels`, (rows, columns[, 3]) uint8, or uint16 where the format takes 16 bits.

    The same pixels give the same bytes. Raises ValueError where there are more rows or columns than the format takes.
    """
    if max(pixels.shape[:2]) > encoding.format.max_side:
        side = f"{encoding.format.max_side:,} pixels a side"
        raise ValueError(f"{encoding.format.value} takes at most {side}: choose --format png, or a smaller --size")
    match encoding.format:
        case ImageFormat.PNG:
            return encode_png(pixels)
        case ImageFormat.JPEG:
            return encode_jpeg(pixels, quality=encoding.quality or 100)
        case ImageFormat.WEBP:
            return encode_webp(pixels, quality=encoding.quality)
        case ImageFormat.NPY:
            return encode_npy(pixels)


def decode_image(content: bytes) -> NDArray[Any]:
    """Decode a PNG, JPEG, WebP or npy file. Returns (rows, columns) or (rows, columns, 3), uint8 or uint16.

    Raises ValueError where `content` is none of these, or is cut.

    >>> import numpy as np
    >>> decode_image(encode_image(np.array([[0, 255]], np.uint8), Encoding.parse("webp"))).tolist()
    [[0, 255]]
    """
    return _reader_of(content).decode(content)


def is_own_image(content: bytes) -> bool:
    """Whether a file says that this program made it; the first bytes are enough, but for WebP."""
    return any(content.startswith(one.signature) and one.is_own(content) for one in _READERS)


def as_png(content: bytes) -> bytes:
    """The same image as PNG, which every program shows; what is PNG already stays as it is."""
    return content if content.startswith(png.SIGNATURE) else encode_png(decode_image(content))


def _reader_of(content: bytes) -> _Reader:
    for one in _READERS:
        if content.startswith(one.signature):
            return one
    raise ValueError("neither a PNG, JPEG, WebP nor npy file")
