"""Where pixels go: crop, scaling that makes pixels square, flips, place on the canvas; and the way back."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.sizes import Size

__all__ = [
    "Box",
    "Geometry",
    "Points",
    "join_boxes",
    "max_halvings",
    "plan_geometry",
    "reduction_factor",
    "to_source",
    "to_thumbnail",
]

Points = NDArray[np.float64]
"""(n, 2) of (row, column) in pixels, (0, 0) being the outer corner of the first pixel and (0.5, 0.5) its center; or
(n, 4) of boxes, (top, left, bottom, right)."""


MAX_PIXELS = 2**28
"""Pixels of a thumbnail whose size its source decides: more are a mistake of a header or an option."""

Box: TypeAlias = tuple[int, int, int, int]
"""(top, left, bottom, right) in whole pixels, the latter two exclusive."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where the source's pixels lie in the thumbnail; every pair is (rows, columns)."""

    source_shape: tuple[int, int]
    crop_origin: tuple[int, int]
    crop_shape: tuple[int, int]
    scaled_shape: tuple[int, int]
    offset: tuple[int, int]
    canvas_shape: tuple[int, int]
    """Rows and columns of the thumbnail."""
    flipped: tuple[bool, bool] = (False, False)
    """Whether the crop's last row is drawn first, and its last column; both are half a turn."""


@lru_cache(maxsize=64)
def plan_geometry(
    shape: tuple[int, int],
    *,
    aspect: float,
    size: int | Size,
    fit: str,
    region: Box | None = None,
    flipped: tuple[bool, bool] = (False, False),
) -> Geometry:
    """Plan how a frame becomes a thumbnail: cropping, scaling that makes pixels square, flipping and placement.

    `shape` is (rows, columns) of the source, `aspect` the height of its pixels over their width, `size` what decides
    the size (a number: the rows and columns of a square), `fit` pad, crop or stretch, `region` the only part of the
    source that is drawn, `flipped` whether its rows and its columns are reversed. The result can be stored and
    inverted. Raises InputError (`limit_exceeded`) for a thumbnail of more than 2²⁸ pixels.

    >>> plan_geometry((512, 256), aspect=1.0, size=224, fit="pad").scaled_shape
    (224, 112)
    >>> plan_geometry((512, 256), aspect=1.0, size=Size(longest=128), fit="pad").canvas_shape
    (128, 64)
    """
    top, left, bottom, right = region or (0, 0, *shape)
    drawn = (bottom - top, right - left)
    size = Size(canvas=(size, size)) if isinstance(size, int) else size
    if size.canvas is None:
        crop, scaled = drawn, _scale_freely(drawn, 1.0 if fit == "stretch" else aspect, size)
    elif size.scale is not None:
        crop, scaled = _scale_as_told(drawn, aspect, size.scale, size.canvas)
    else:
        crop, scaled = _scale_to_fit(drawn, aspect, size.canvas, fit)
    canvas = size.canvas or scaled
    return Geometry(
        source_shape=shape,
        crop_origin=(top + (drawn[0] - crop[0]) // 2, left + (drawn[1] - crop[1]) // 2),
        crop_shape=crop,
        scaled_shape=scaled,
        offset=((canvas[0] - scaled[0]) // 2, (canvas[1] - scaled[1]) // 2),
        canvas_shape=canvas,
        flipped=flipped,
    )


def _scale_freely(drawn: tuple[int, int], aspect: float, size: Size) -> tuple[int, int]:
    """The thumbnail's shape where no canvas is given; the finer side of pixels that are not square is not lost."""
    height, width = drawn[0] * aspect, float(drawn[1])
    scale = max(1.0, 1 / aspect) if size.scale is None else size.scale
    if size.longest is not None:
        scale = min(scale, size.longest / max(height, width))
    scaled = (max(1, round(height * scale)), max(1, round(width * scale)))
    if scaled[0] * scaled[1] > MAX_PIXELS:
        detail = f"a thumbnail of {scaled[0]:,}×{scaled[1]:,} pixels is too large"
        raise InputError(ErrorCode.LIMIT_EXCEEDED, f"{detail}; limit it with --size max=")
    return scaled


def _scale_as_told(
    drawn: tuple[int, int], aspect: float, scale: float, canvas: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """(Crop, scaled) shapes at a given scale; of what is larger than the canvas its middle."""
    steps = (aspect * scale, scale)
    rows, columns = (
        max(
            1, min(length, math.floor(limit / step + 0.5 / max(1.0, step)))
        )  # the scale is off by less than half a pixel
        for length, limit, step in zip(drawn, canvas, steps, strict=True)
    )
    down, right = (
        min(limit, max(1, round(length * step)))
        for length, limit, step in zip((rows, columns), canvas, steps, strict=True)
    )
    return (rows, columns), (down, right)


def _scale_to_fit(
    drawn: tuple[int, int], aspect: float, canvas: tuple[int, int], fit: str
) -> tuple[tuple[int, int], tuple[int, int]]:
    """(Crop, scaled) shapes that fill the canvas as `fit` says."""
    rows, columns = drawn
    height, width = rows * aspect, float(columns)
    if fit == "pad":
        scale = min(canvas[0] / height, canvas[1] / width)
        scaled = (min(canvas[0], max(1, round(height * scale))), min(canvas[1], max(1, round(width * scale))))
        return drawn, scaled
    if fit == "stretch":
        return drawn, canvas
    shares = (canvas[0] / max(canvas), canvas[1] / max(canvas))
    longest = min(height / shares[0], width / shares[1])
    crop = (max(1, round(longest * shares[0] / aspect)), max(1, round(longest * shares[1])))
    return (min(rows, crop[0]), min(columns, crop[1])), canvas


def reduction_factor(geometry: Geometry) -> float:
    """How many rows or columns of the source become one of the thumbnail, where there are fewer of them."""
    return min(source / scaled for source, scaled in zip(geometry.crop_shape, geometry.scaled_shape, strict=True))


def max_halvings(geometry: Geometry, *, spare: float) -> int:
    """How often the source may be halved before it has less than `spare` samples for one of the thumbnail's."""
    return max(0, math.floor(math.log2(reduction_factor(geometry) / spare)))


def to_source(points: ArrayLike, geometry: Geometry) -> Points:
    """Map points or boxes of the thumbnail to the source; what lies beyond the edge lies beyond the edge there, too.

    `points` is (n, 2) of (row, column), or (n, 4) of boxes (top, left, bottom, right), in pixels, (0, 0) being the
    outer corner of the first pixel. Returns the same shape, float64. Raises ValueError for another shape.
    """
    scale = np.divide(geometry.crop_shape, geometry.scaled_shape)
    pairs, shape = _pairs(points)
    inside = _flip((pairs - geometry.offset) * scale, shape, geometry)
    return (inside + geometry.crop_origin).reshape(shape)


def to_thumbnail(points: ArrayLike, geometry: Geometry) -> Points:
    """Map points or boxes of the source to the thumbnail, as `to_source` does back.

    `points` is (n, 2) of (row, column), or (n, 4) of boxes (top, left, bottom, right), in pixels of the source. Returns
    the same shape, float64. Raises ValueError for another shape.
    """
    scale = np.divide(geometry.scaled_shape, geometry.crop_shape)
    pairs, shape = _pairs(points)
    inside = _flip(pairs - geometry.crop_origin, shape, geometry)
    return (inside * scale + geometry.offset).reshape(shape)


def _flip(pairs: Points, shape: tuple[int, ...], geometry: Geometry) -> Points:
    """Mirror points within the crop, in pixels of the source; corners of boxes change places, and stay ordered."""
    for axis in (0, 1):
        if geometry.flipped[axis]:
            mirrored = geometry.crop_shape[axis] - pairs[:, axis]
            pairs[:, axis] = mirrored.reshape(-1, 2)[:, ::-1].ravel() if shape[-1] == 4 else mirrored
    return pairs


def _pairs(points: ArrayLike) -> tuple[Points, tuple[int, ...]]:
    """(row, column) pairs, and the shape they came in; ValueError where they are no points and no boxes."""
    array = np.asarray(points, np.float64)
    if array.ndim == 0 or array.shape[-1] not in (2, 4):
        raise ValueError(f"points are (n, 2) and boxes (n, 4), not {array.shape}")
    return array.reshape(-1, 2), array.shape


def join_boxes(one: Box, other: Box) -> Box:
    """The box around two."""
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])
