"""Where pixels go: crop, antialiased scaling that makes pixels square, placing on the canvas; and the way back."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "EVERY_PIXEL",
    "Geometry",
    "Grid",
    "Points",
    "halve",
    "max_halvings",
    "place",
    "place_labels",
    "plan_geometry",
    "reduction_factor",
    "resample",
    "to_source",
    "to_thumbnail",
]

Points = NDArray[np.float64]
"""(n, 2) of (row, column) in pixels, (0, 0) being the outer corner of the first pixel and (0.5, 0.5) its center; or
(n, 4) of boxes, (top, left, bottom, right)."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Where decoded samples lie in the source, of which a codec may have decoded a smaller version."""

    step: int = 1
    """Source pixels from one sample to the next."""
    phase: float = 0.0
    """How far the source's edge lies inside the first sample, in samples: 0 where samples are means of whole blocks."""


EVERY_PIXEL = Grid()

MAX_INTERPOLATED_SHRINK = 1.15
"""By so much rows and columns may be interpolated before whole blocks of them are averaged: above 48 dB of means over
areas even of white noise, in a third of the time. 512 and 1024 need 8/7 for 224."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where the source's pixels lie in the thumbnail; every pair is (rows, columns)."""

    source_shape: tuple[int, int]
    crop_origin: tuple[int, int]
    crop_shape: tuple[int, int]
    scaled_shape: tuple[int, int]
    offset: tuple[int, int]
    size: int
    """Rows and columns of the canvas."""


@lru_cache(maxsize=64)
def plan_geometry(shape: tuple[int, int], *, aspect: float, size: int, fit: str) -> Geometry:
    """Plan how a frame fills a square canvas: cropping, scaling that makes pixels square, and placement.

    `shape` is (rows, columns) of the source, `aspect` the height of its pixels over their width, `size` the rows and
    columns of the canvas, `fit` pad, crop or stretch. The result can be stored and inverted.

    >>> plan_geometry((512, 256), aspect=1.0, size=224, fit="pad").scaled_shape
    (224, 112)
    """
    rows, columns = shape
    height, width = rows * aspect, float(columns)
    crop = shape
    if fit == "crop":
        side = min(height, width)
        crop = (max(1, round(side / aspect)), max(1, round(side)))
        crop = (min(rows, crop[0]), min(columns, crop[1]))
    if fit == "pad":
        scale = size / max(height, width)
        scaled = (min(size, max(1, round(height * scale))), min(size, max(1, round(width * scale))))
    else:
        scaled = (size, size)
    return Geometry(
        source_shape=shape,
        crop_origin=((rows - crop[0]) // 2, (columns - crop[1]) // 2),
        crop_shape=crop,
        scaled_shape=scaled,
        offset=((size - scaled[0]) // 2, (size - scaled[1]) // 2),
        size=size,
    )


def resample(pixels: NDArray[Any], *, shape: tuple[int, int], exact: bool = True) -> NDArray[Any]:
    """Scale pixels: means over areas where they shrink, bicubic where they grow, each side for itself.

    `pixels` is (rows, columns[, 3]), uint8, uint16, int16 or float32. Returns `shape`, (rows, columns), with the
    channels and the dtype of `pixels`. Unless `exact`, means over areas that hardly differ may take their place.
    """
    rows, columns = pixels.shape[:2]
    smaller = (min(rows, shape[0]), min(columns, shape[1]))
    if smaller != (rows, columns):
        if not exact:
            pixels = _interpolate_to_blocks(pixels, shape)
        pixels = cv2.resize(pixels, smaller[::-1], interpolation=cv2.INTER_AREA)
    if shape != smaller:
        pixels = cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return pixels


def _interpolate_to_blocks(pixels: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Make rows and columns a multiple of `shape` where that is near: whole blocks are averaged many times faster."""
    near = (pixels.shape[0] // shape[0] * shape[0], pixels.shape[1] // shape[1] * shape[1])
    if min(near[0] // shape[0], near[1] // shape[1]) < 2:
        return pixels
    if max(pixels.shape[0] / near[0], pixels.shape[1] / near[1]) > MAX_INTERPOLATED_SHRINK:
        return pixels
    return cv2.resize(pixels, near[::-1], interpolation=cv2.INTER_LINEAR)


def halve(pixels: NDArray[Any], *, times: int) -> NDArray[Any]:
    """Average blocks of 2×2, again and again: many times faster than means over other areas.

    `pixels` is (rows, columns[, 3]), uint8, uint16 or int16. Returns (rows / 2ⁿ, columns / 2ⁿ[, 3]), rounded up, with n
    = `times`; where a length is odd its last sample counts twice.

    >>> halve(np.array([[0, 4], [8, 8]], np.uint8), times=1).tolist()
    [[5]]
    """
    for _ in range(times):
        rows, columns = pixels.shape[:2]
        if rows % 2 or columns % 2:
            pixels = cv2.copyMakeBorder(pixels, 0, rows % 2, 0, columns % 2, cv2.BORDER_REPLICATE)
        pixels = cv2.resize(pixels, ((columns + 1) // 2, (rows + 1) // 2), interpolation=cv2.INTER_AREA)
    return pixels


def reduction_factor(geometry: Geometry) -> float:
    """How many rows or columns of the source become one of the thumbnail, where there are fewer of them."""
    return min(source / scaled for source, scaled in zip(geometry.crop_shape, geometry.scaled_shape, strict=True))


def max_halvings(geometry: Geometry, *, spare: float) -> int:
    """How often the source may be halved before it has less than `spare` samples for one of the thumbnail's."""
    return max(0, math.floor(math.log2(reduction_factor(geometry) / spare)))


def place_labels(pixels: NDArray[Any], geometry: Geometry) -> NDArray[Any]:
    """Crop, scale and place a label map as `geometry` says, each pixel taking the one that lies nearest to its center.

    `pixels` is (rows, columns[, 3]) of any dtype. Returns (size, size[, 3]) of the same dtype, in which no value
    appears that is not in `pixels`.
    """
    (top, left), (rows, columns) = geometry.crop_origin, geometry.crop_shape
    canvas = np.zeros((geometry.size, geometry.size, *pixels.shape[2:]), pixels.dtype)
    down, right = (
        ((np.arange(scaled) + 0.5) * length / scaled).astype(np.intp)
        for length, scaled in zip((rows, columns), geometry.scaled_shape, strict=True)
    )
    area = tuple(slice(at, at + n) for at, n in zip(geometry.offset, geometry.scaled_shape, strict=True))
    canvas[area] = pixels[top + down[:, np.newaxis], left + right]
    return canvas


def place(pixels: NDArray[Any], geometry: Geometry, *, grid: Grid = EVERY_PIXEL, exact: bool = True) -> NDArray[Any]:
    """Crop, scale and place a frame on a black square as `geometry` says.

    `pixels` is (rows, columns[, 3]), uint8, uint16 or int16; `grid` says where its samples lie in the source, of which
    a codec may have decoded a smaller version. Returns (size, size[, 3]) of the same dtype. Unless `exact`, pixels are
    averaged over areas that may differ slightly, where that is faster.
    """
    if grid == EVERY_PIXEL:
        (top, left), (rows, columns) = geometry.crop_origin, geometry.crop_shape
        cropped = pixels[top : top + rows, left : left + columns]
        scaled = resample(cropped, shape=geometry.scaled_shape, exact=exact)
    else:
        scaled = _resample_grid(pixels, geometry, grid, exact=exact)
    if geometry.scaled_shape == (geometry.size, geometry.size):
        return scaled
    canvas = np.zeros((geometry.size, geometry.size, *pixels.shape[2:]), pixels.dtype)
    (top, left), (rows, columns) = geometry.offset, geometry.scaled_shape
    canvas[top : top + rows, left : left + columns] = scaled
    return canvas


def _resample_grid(pixels: NDArray[Any], geometry: Geometry, grid: Grid, *, exact: bool) -> NDArray[Any]:
    """Means over areas of a coarser grid, whose samples are first moved to where the source's crop begins."""
    origin = np.divide(geometry.crop_origin, grid.step) + grid.phase
    (top, left), (down, right) = origin.astype(int), origin % 1
    moved = pixels[top:, left:]
    if down or right:
        moved = cv2.sepFilter2D(
            moved, cv2.CV_32F, _shift_kernel(right), _shift_kernel(down), anchor=(1, 1), borderType=cv2.BORDER_REPLICATE
        )
    extent = np.divide(geometry.crop_shape, grid.step)
    moved = moved[: int(np.ceil(extent[0])), : int(np.ceil(extent[1]))]
    if not exact and moved.shape[:2] == tuple(extent):
        moved = _interpolate_to_blocks(moved, geometry.scaled_shape)
        extent = np.array(moved.shape[:2])
    y, x = np.divide(geometry.scaled_shape, extent)
    rows, columns = geometry.scaled_shape
    scaled = cv2.resize(moved, None, fx=x, fy=y, interpolation=cv2.INTER_AREA)[:rows, :columns]
    if scaled.dtype == pixels.dtype:
        return scaled
    limits = np.iinfo(pixels.dtype)
    return np.clip(np.rint(scaled), limits.min, limits.max).astype(pixels.dtype)


def _shift_kernel(shift: float) -> NDArray[np.float64]:
    """Four taps that move samples by a part of a sample: Catmull-Rom's cubic (Keys, 1981)."""
    t = shift
    return np.array([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2]) / 2


def to_source(points: ArrayLike, geometry: Geometry) -> Points:
    """Map points or boxes of the thumbnail to the source; what lies beyond the edge lies beyond the edge there, too.

    `points` is (n, 2) of (row, column), or (n, 4) of boxes (top, left, bottom, right), in pixels, (0, 0) being the
    outer corner of the first pixel. Returns the same shape, float64. Raises ValueError for another shape.
    """
    scale = np.divide(geometry.crop_shape, geometry.scaled_shape)
    pairs, shape = _pairs(points)
    return ((pairs - geometry.offset) * scale + geometry.crop_origin).reshape(shape)


def to_thumbnail(points: ArrayLike, geometry: Geometry) -> Points:
    """Map points or boxes of the source to the thumbnail, as `to_source` does back.

    `points` is (n, 2) of (row, column), or (n, 4) of boxes (top, left, bottom, right), in pixels of the source. Returns
    the same shape, float64. Raises ValueError for another shape.
    """
    scale = np.divide(geometry.scaled_shape, geometry.crop_shape)
    pairs, shape = _pairs(points)
    return ((pairs - geometry.crop_origin) * scale + geometry.offset).reshape(shape)


def _pairs(points: ArrayLike) -> tuple[Points, tuple[int, ...]]:
    """(row, column) pairs, and the shape they came in; ValueError where they are no points and no boxes."""
    array = np.asarray(points, np.float64)
    if array.ndim == 0 or array.shape[-1] not in (2, 4):
        raise ValueError(f"points are (n, 2) and boxes (n, 4), not {array.shape}")
    return array.reshape(-1, 2), array.shape
