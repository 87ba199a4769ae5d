"""Writing in a picture becomes background: what lies outside of its regions, and lines of text."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomprep.pixels.geometry import Box, Geometry, to_thumbnail
from dicomprep.pixels.resampling import Grid
from dicomprep.pixels.text_boxes import find_text

__all__ = ["blank", "blank_thumbnail", "find_writing", "outside_of"]

_NEGLIGIBLE = 1e-6
"""Of a pixel, by which rounding may miss an edge."""


def find_writing(
    pixels: NDArray[Any], *, grid: Grid, shape: tuple[int, int], regions: Sequence[Box]
) -> tuple[Box, ...]:
    """Find what is writing: all that is outside of `regions`, else the lines of text that are seen.

    `pixels` is (rows, columns[, 3]), uint8 or uint16, as drawn; `grid` says where they lie in a source of `shape`
    (rows, columns), in whose pixels `regions` are. Returns boxes (top, left, bottom, right) in those pixels.
    """
    if regions:
        return outside_of(regions, shape)
    found = (tuple(round((at - grid.phase) * grid.step) for at in box) for box in find_text(pixels))
    return tuple(
        (max(0, top), max(0, left), min(shape[0], bottom), min(shape[1], right)) for top, left, bottom, right in found
    )


def outside_of(regions: Sequence[Box], shape: tuple[int, int]) -> tuple[Box, ...]:
    """Divide what is outside of all `regions` in a frame of `shape` (rows, columns) into boxes.

    >>> outside_of([(10, 0, 100, 80)], (100, 100))
    ((0, 0, 10, 100), (10, 80, 100, 100))
    """
    edges = sorted({0, shape[0], *(at for box in regions for at in (box[0], box[2]))})
    boxes: list[Box] = []
    for top, bottom in pairwise(edges):
        left = 0
        for start, end in sorted((box[1], box[3]) for box in regions if box[0] <= top and bottom <= box[2]):
            if left < start:
                boxes.append((top, left, bottom, start))
            left = max(left, end)
        if left < shape[1]:
            boxes.append((top, left, bottom, shape[1]))
    return tuple(boxes)


def blank(pixels: NDArray[Any], boxes: Sequence[Box], *, grid: Grid) -> NDArray[Any]:
    """Draw boxes of a source as background on its samples, which lie in it as `grid` says.

    `pixels` is (rows, columns[, 3]). Returns a copy, (rows, columns[, 3]).
    """
    blanked = pixels.copy()
    for top, left, bottom, right in boxes:
        start, end = np.divide((top, left), grid.step) + grid.phase, np.divide((bottom, right), grid.step) + grid.phase
        blanked[_pixels_of(start[0], end[0]), _pixels_of(start[1], end[1])] = 0
    return blanked


def blank_thumbnail(pixels: NDArray[Any], boxes: Sequence[Box], geometry: Geometry) -> NDArray[Any]:
    """Draw boxes of the source as background on its thumbnail; pixels that are wholly beside them do not change.

    `pixels` is (rows, columns[, 3]). Returns a copy, (rows, columns[, 3]).
    """
    blanked = pixels.copy()
    for top, left, bottom, right in to_thumbnail(np.array(boxes, float).reshape(-1, 4), geometry):
        blanked[_pixels_of(top, bottom), _pixels_of(left, right)] = 0
    return blanked


def _pixels_of(start: float, end: float) -> slice:
    """The pixels that a span touches."""
    return slice(max(0, int(np.floor(start + _NEGLIGIBLE))), max(0, int(np.ceil(end - _NEGLIGIBLE))))
