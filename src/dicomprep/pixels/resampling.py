"""Frames made smaller or larger, with antialiasing, and put on the canvas of a thumbnail as planned."""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dicomprep.pixels.geometry import Box, Geometry

__all__ = [
    "EVERY_PIXEL",
    "Grid",
    "halve",
    "measure_fineness",
    "place",
    "place_labels",
    "resample",
    "samples_of",
]


@dataclass(frozen=True, slots=True)
class Grid:
    """Where decoded samples lie in the source, of which a codec may have decoded a smaller version."""

    step: int = 1
    """Source pixels from one sample to the next."""
    phase: float = 0.0
    """How far the source's edge lies inside the first sample, in samples: 0 where samples are means of whole blocks."""


EVERY_PIXEL = Grid()

SAMPLES_AROUND = 4
"""Samples on each side of a box that take part in what is drawn of it, where it begins between two of them."""

MAX_INTERPOLATED_SHRINK = 1.15
"""By so much rows and columns may be interpolated before whole blocks of them are averaged: above 48 dB of means over
areas even of white noise, in a third of the time. 512 and 1024 need 8/7 for 224."""


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


def measure_fineness(pixels: NDArray[Any]) -> float:
    """Estimate what a halving took away from the picture that `pixels` was before it: the root mean square of that.

    `pixels` is (rows, columns), uint8, uint16 or int16. Two more halvings tell how fast it decreases from scale to
    scale; to finer ones it does not grow: noise has about as much of it, anatomy less.

    >>> measure_fineness(np.full((8, 8), 7, np.uint16))
    0.0
    """
    fine, half = _take_half(pixels)
    coarse, _ = _take_half(half)
    return fine * min(1.0, fine / coarse) if coarse else fine


def _take_half(pixels: NDArray[Any]) -> tuple[float, NDArray[Any]]:
    """(What that takes away, half of the rows and columns) of a picture."""
    rows, columns = pixels.shape
    half = cv2.resize(pixels, (max(1, columns // 2), max(1, rows // 2)), interpolation=cv2.INTER_AREA)
    smooth = cv2.resize(half, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return float(cv2.norm(pixels, smooth, cv2.NORM_L2) / np.sqrt(pixels.size)), half


def samples_of(box: Box, grid: Grid) -> tuple[slice, slice]:
    """The samples that take part in what is drawn of a box of the source: (rows, columns)."""
    down, right = (
        slice(
            max(0, math.floor(start / grid.step + grid.phase) - SAMPLES_AROUND),
            math.ceil(end / grid.step + grid.phase) + SAMPLES_AROUND,
        )
        for start, end in zip(box[:2], box[2:], strict=True)
    )
    return down, right


def place_labels(pixels: NDArray[Any], geometry: Geometry) -> NDArray[Any]:
    """Crop, scale and place a label map as `geometry` says, each pixel taking the one that lies nearest to its center.

    `pixels` is (rows, columns[, 3]) of any dtype. Returns the canvas, (rows, columns[, 3]) of the same dtype, with no
    value that is not in `pixels`.
    """
    (top, left), (rows, columns) = geometry.crop_origin, geometry.crop_shape
    down, right = (
        ((np.arange(scaled) + 0.5) * length / scaled).astype(np.intp)
        for length, scaled in zip((rows, columns), geometry.scaled_shape, strict=True)
    )
    return _put_on_canvas(pixels[top + down[:, np.newaxis], left + right], geometry)


def place(pixels: NDArray[Any], geometry: Geometry, *, grid: Grid = EVERY_PIXEL, exact: bool = True) -> NDArray[Any]:
    """Crop, scale and place a frame on a black canvas as `geometry` says.

    `pixels` is (rows, columns[, 3]), uint8, uint16 or int16; `grid` says where its samples lie in the source, of which
    a codec may have decoded a smaller version. Returns the canvas, (rows, columns[, 3]) of the same dtype. Unless
    `exact`, pixels are averaged over areas that may differ slightly, where that is faster.
    """
    if grid == EVERY_PIXEL:
        (top, left), (rows, columns) = geometry.crop_origin, geometry.crop_shape
        cropped = pixels[top : top + rows, left : left + columns]
        scaled = resample(cropped, shape=geometry.scaled_shape, exact=exact)
    else:
        scaled = _resample_grid(pixels, geometry, grid, exact=exact)
    return _put_on_canvas(scaled, geometry)


def _put_on_canvas(scaled: NDArray[Any], geometry: Geometry) -> NDArray[Any]:
    """Flip what was scaled, and put it where it belongs. What is returned may be written to, unlike bytes of a file."""
    down, right = (-1 if flipped else 1 for flipped in geometry.flipped)
    scaled = scaled[::down, ::right]
    if geometry.scaled_shape == geometry.canvas_shape:
        picture = np.ascontiguousarray(scaled)
        return picture if picture.flags.writeable else picture.copy()
    canvas = np.zeros((*geometry.canvas_shape, *scaled.shape[2:]), scaled.dtype)
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
