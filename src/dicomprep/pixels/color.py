"""Color spaces and palettes (DICOM PS3.3 C.7.6.3.1.2, C.7.9, C.11.15)."""

from typing import Any

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray

__all__ = ["apply_palette", "convert_ybr_full", "convert_ybr_partial", "scale_color", "to_grayscale", "to_srgb"]

Color = NDArray[Any]

_YBR_TO_RGB = np.array([[1, 0, 1.402], [1, -0.114 * 1.772 / 0.587, -0.299 * 1.402 / 0.587], [1, 1.772, 0]])
"""ITU-R BT.601: the inverse of Y = 0.299 R + 0.587 G + 0.114 B and its color differences."""

MAX_PROFILE_BYTES = 2**22
"""Bytes of an ICC profile, which is read again for each frame; those of scanners and cameras take a fourth or less."""


_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def convert_ybr_full(pixels: Color) -> Color:
    """Convert YBR_FULL to RGB (PS3.3 C.7.6.3.1.2, ITU-R BT.601).

    `pixels` is (rows, columns, 3), uint8 or uint16. Returns the same shape and dtype.

    >>> convert_ybr_full(np.array([[[128, 128, 255]]], np.uint8)).tolist()
    [[[255, 37, 128]]]
    """
    middle = 2 ** (8 * pixels.dtype.itemsize - 1)
    return _transform(pixels, _YBR_TO_RGB, zero=(0, middle, middle))


def convert_ybr_partial(pixels: Color) -> Color:
    """Convert YBR_PARTIAL_422 or _420 whose chroma has been upsampled to RGB (PS3.3 C.7.6.3.1.2).

    `pixels` is (rows, columns, 3) uint8: luma 16…235, chroma 16…240. Returns the same shape and dtype, 0…255.

    >>> convert_ybr_partial(np.array([[[235, 128, 128]]], np.uint8)).tolist()
    [[[255, 255, 255]]]
    """
    return _transform(pixels, _YBR_TO_RGB * (255 / 219, 255 / 224, 255 / 224), zero=(16, 128, 128))


def apply_palette(indices: NDArray[Any], *, palette: NDArray[np.uint16], first: int, depth: int) -> Color:
    """Look up palette indices (PS3.3 C.7.6.3.1.5, C.7.9).

    `indices` is (rows, columns) of integers, `palette` (entries, 3) of 16-bit colors, of which the first entry stands
    for the index `first`; indices outside take the first or last entry. Returns (rows, columns, 3), uint8 or uint16 as
    `depth` (8 or 16) says.

    >>> palette = np.array([[0, 0, 0], [65535, 0, 0]], np.uint16)
    >>> apply_palette(np.array([[9, 10, 99]]), palette=palette, first=9, depth=8).tolist()
    [[[0, 0, 0], [255, 0, 0], [255, 0, 0]]]
    """
    table = (palette >> 8).astype(np.uint8) if depth == 8 else palette
    return table[np.clip(indices.astype(np.int64) - first, 0, len(table) - 1)]


def to_grayscale(pixels: Color, *, is_luma: bool) -> Color:
    """Reduce color to its luma (ITU-R BT.601).

    `pixels` is (rows, columns), which is returned as it is, or (rows, columns, 3): RGB, or YBR if its first channel
    `is_luma`. Returns (rows, columns).
    """
    if pixels.ndim == 2:
        return pixels
    return pixels[..., 0] if is_luma else pixels @ _LUMA


def scale_color(pixels: Color, *, bits_stored: int, depth: int) -> Color:
    """Scale unsigned samples to the full range of another depth.

    `pixels` is (rows, columns) or (rows, columns, 3) of unsigned integers within `bits_stored` bits. Returns the same
    shape, uint8 or uint16 as `depth` (8 or 16) says, rounded to the nearest.

    >>> scale_color(np.array([[0, 2048, 4095]], np.uint16), bits_stored=12, depth=8).tolist()
    [[0, 128, 255]]
    """
    dtype = np.uint8 if depth == 8 else np.uint16
    if bits_stored == depth and pixels.dtype == dtype:
        return pixels
    scaled = pixels.astype(np.float64) * ((2**depth - 1) / (2**bits_stored - 1))
    return np.floor(scaled + 0.5).astype(dtype)


def _transform(pixels: Color, matrix: NDArray[np.float64], *, zero: tuple[int, int, int]) -> Color:
    """Matrix · (pixel − zero) for each pixel, rounded and clipped to the type of `pixels`."""
    offset = -matrix @ np.array(zero, np.float64)
    return np.asarray(cv2.transform(np.ascontiguousarray(pixels), np.column_stack([matrix, offset])))


def to_srgb(pixels: Color, *, icc_profile: bytes) -> Color:
    """Convert from the color space of an ICC profile to sRGB (PS3.3 C.11.15).

    `pixels` is (rows, columns, 3), uint8 or uint16. Returns the same shape and dtype. Raises ValueError where the
    profile cannot be used for RGB input, or has more than `MAX_PROFILE_BYTES`.
    """
    if len(icc_profile) > MAX_PROFILE_BYTES:
        raise ValueError(f"ICC profile of {len(icc_profile):,} bytes is not applied")
    try:
        srgb = imagecodecs.cms_profile("srgb")
        return imagecodecs.cms_transform(pixels, icc_profile, srgb, colorspace="rgb", outcolorspace="rgb")
    except imagecodecs.CmsError as error:
        raise ValueError(f"ICC profile cannot be applied: {error}") from error
