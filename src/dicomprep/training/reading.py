"""One thumbnail, as an array."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomprep.errors import ConfigError, EnvironmentFault
from dicomprep.pixels.png import decode_png
from dicomprep.storage.base import ImageStore

__all__ = ["read_thumbnail", "with_channels"]

LUMA = np.array([299, 587, 114], np.uint32)
"""Thousandths of red, green and blue in a grey (ITU-R BT.601)."""


def read_thumbnail(images: ImageStore, name: str) -> NDArray[Any]:
    """Grey (rows, columns) or RGB (rows, columns, 3), uint8 or uint16; EnvironmentFault where it cannot be read."""
    try:
        content = images.read(name)
    except OSError as error:
        raise EnvironmentFault(f"The image {images.where(name)} cannot be read: {error.strerror}. {_REPAIR}") from error
    try:
        return decode_png(content)
    except ValueError as error:
        raise EnvironmentFault(f"The image {images.where(name)} is damaged ({error}). {_REPAIR}") from error


_REPAIR = "`dicomprep verify --repair` finds and restores what is missing."


def with_channels(pixels: NDArray[Any], channels: int | None) -> NDArray[Any]:
    """Grey as three equal channels, or RGB as its luminance; None leaves both as they are."""
    if channels is None or channels == (3 if pixels.ndim == 3 else 1):
        return pixels
    if channels == 1:
        return ((pixels @ LUMA + 500) // 1000).astype(pixels.dtype)
    if channels != 3:
        raise ConfigError(f"channels={channels}: choose 1, 3 or None.")
    coloured = np.empty((*pixels.shape, 3), pixels.dtype)
    coloured[...] = pixels[..., None]
    return coloured
