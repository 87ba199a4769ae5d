"""One thumbnail, as an array."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomprep.errors import ConfigError, EnvironmentFault
from dicomprep.pixels.encoding import ImageFormat, format_of
from dicomprep.pixels.image_file import as_png, decode_image
from dicomprep.storage.base import ImageStore
from dicomprep.storage.image_cache import read_image

__all__ = ["as_shown", "read_thumbnail", "with_channels"]

LUMA = np.array([299, 587, 114], np.uint32)
"""Thousandths of red, green and blue in a gray (ITU-R BT.601)."""


def read_thumbnail(images: ImageStore, name: str, digest: bytes | None = None) -> NDArray[Any]:
    """Read a thumbnail. Returns (rows, columns) grayscale or (rows, columns, 3) RGB, uint8 or uint16.

    With the `digest` that is recorded of it, an object store is asked for it only once (`storage.image_cache`).
    Raises EnvironmentFault where it is missing or damaged.
    """
    try:
        content = images.read(name) if digest is None else read_image(images, name, digest)
    except OSError as error:
        raise EnvironmentFault(f"The image {images.where(name)} cannot be read: {error.strerror}. {_REPAIR}") from error
    try:
        return decode_image(content)
    except ValueError as error:
        raise EnvironmentFault(f"The image {images.where(name)} is damaged ({error}). {_REPAIR}") from error


def as_shown(name: str, content: bytes) -> tuple[bytes, str] | None:
    """An image file as a browser shows it, and its media type: an array as PNG. None where it is damaged."""
    kind = format_of(name)
    if kind is not ImageFormat.NPY:
        return content, kind.media_type
    try:
        return as_png(content), ImageFormat.PNG.media_type
    except ValueError:
        return None


_REPAIR = "`dicomprep verify --repair` restores missing and damaged images."


def with_channels(pixels: NDArray[Any], channels: int | None) -> NDArray[Any]:
    """Give `pixels`, (rows, columns[, 3]) uint8 or uint16, so many channels: 1 or 3; None leaves them as they are.

    Returns grayscale as three equal channels, or RGB as its luminance (ITU-R BT.601), (rows, columns[, 3]) of the same
    dtype. Raises ConfigError for another number.
    """
    if channels is None or channels == (3 if pixels.ndim == 3 else 1):
        return pixels
    if channels == 1:
        return ((pixels @ LUMA + 500) // 1000).astype(pixels.dtype)
    if channels != 3:
        raise ConfigError(f"channels={channels}: choose 1, 3 or None.")
    colored = np.empty((*pixels.shape, 3), pixels.dtype)
    colored[...] = pixels[..., None]
    return colored
