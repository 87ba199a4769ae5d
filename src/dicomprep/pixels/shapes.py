"""What is drawn on a frame: boxes, points and polygons, in pixels of the source as `Transform` counts them."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from dicomprep.pixels.geometry import Points

__all__ = ["MAX_VERTICES", "Shape", "ShapeKind"]

MAX_VERTICES = 10_000
"""Corners of a polygon; bounds what one annotation takes in memory and in the database."""
MAX_COORDINATE = 1e6
"""Pixels: no frame is larger."""

Corner = tuple[float, float]
"""(row, column); (0, 0) is the outer corner of the first pixel."""


class ShapeKind(StrEnum):
    """What a shape is."""

    BOX = "box"
    POINT = "point"
    POLYGON = "polygon"


_CORNERS = {ShapeKind.BOX: (2, 2), ShapeKind.POINT: (1, 1), ShapeKind.POLYGON: (3, MAX_VERTICES)}


@dataclass(frozen=True, slots=True)
class Shape:
    """A box, a point or a polygon. Raises ValueError, which says why, for what is none.

    >>> Shape.box(4, 8, 2, 16).bounds
    (2.0, 8.0, 4.0, 16.0)
    >>> Shape(ShapeKind.POLYGON, ((0, 0), (0, 4), (4, 0))).area
    8.0
    """

    kind: ShapeKind
    corners: tuple[Corner, ...]
    """Of a box the upper left and the lower right one."""

    def __post_init__(self) -> None:
        least, most = _CORNERS[self.kind]
        if not least <= len(self.corners) <= most:
            raise ValueError(f"a {self.kind} of {len(self.corners)} corners")
        if not all(math.isfinite(n) and abs(n) <= MAX_COORDINATE for corner in self.corners for n in corner):
            raise ValueError("a coordinate is not a number of pixels")
        if self.kind is ShapeKind.BOX:
            (top, left), (bottom, right) = self.corners
            if top >= bottom or left >= right:
                raise ValueError("a box without an area")

    @classmethod
    def box(cls, top: float, left: float, bottom: float, right: float) -> "Shape":
        """The box between two corners, in any order."""
        (top, bottom), (left, right) = sorted((float(top), float(bottom))), sorted((float(left), float(right)))
        return cls(ShapeKind.BOX, ((top, left), (bottom, right)))

    @classmethod
    def of(cls, kind: ShapeKind, corners: Sequence[Sequence[float]]) -> "Shape":
        """A shape of corners in any order that it can have."""
        pairs = tuple((float(row), float(column)) for row, column in corners)
        if kind is ShapeKind.BOX and len(pairs) == 2:
            return cls.box(*pairs[0], *pairs[1])
        return cls(kind, pairs)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(top, left, bottom, right) of all corners."""
        rows, columns = zip(*self.corners, strict=True)
        return min(rows), min(columns), max(rows), max(columns)

    @property
    def area(self) -> float:
        """In square pixels."""
        if self.kind is ShapeKind.BOX:
            top, left, bottom, right = self.bounds
            return (bottom - top) * (right - left)
        array = self.array
        following = np.roll(array, -1, axis=0)
        return float(abs((array[:, 0] * following[:, 1] - array[:, 1] * following[:, 0]).sum()) / 2)

    @property
    def array(self) -> Points:
        """The corners. Returns (n, 2) float64 of (row, column)."""
        return np.array(self.corners, np.float64)

    def mapped(self, change: Callable[[Points], Points]) -> "Shape":
        """The shape whose corners `change` (n, 2) makes of these, as `Transform.to_source` and `to_thumbnail` do.

        Returns a shape of as many corners, (n, 2).
        """
        return self.of(self.kind, change(self.array).tolist())

    def within(self, rows: float, columns: float) -> "Shape | None":
        """The part that lies in a frame of this size; None where none does."""
        top, left, bottom, right = self.bounds
        if top >= 0 and left >= 0 and bottom <= rows and right <= columns:
            return self
        if self.kind is ShapeKind.POINT or bottom <= 0 or right <= 0 or top >= rows or left >= columns:
            return None
        if self.kind is ShapeKind.BOX:
            return self.box(max(top, 0), max(left, 0), min(bottom, rows), min(right, columns))
        corners = list(self.corners)
        for axis, limit in enumerate((float(rows), float(columns))):
            corners = _clip(_clip(corners, axis, 0.0, 1.0), axis, limit, -1.0)
        return Shape(self.kind, tuple(corners)) if 3 <= len(corners) <= MAX_VERTICES else None

    def to_json(self) -> str:
        """The corners as they are recorded."""
        return json.dumps(self.corners, separators=(",", ":"))


def _clip(corners: list[Corner], axis: int, limit: float, side: float) -> list[Corner]:
    """What of a polygon lies beyond a line (Sutherland and Hodgman, 1974)."""
    clipped: list[Corner] = []
    for before, corner in zip([*corners[-1:], *corners[:-1]], corners, strict=True):
        far, near = side * (before[axis] - limit), side * (corner[axis] - limit)
        if far * near < 0:
            share = far / (far - near)
            clipped.append((before[0] + share * (corner[0] - before[0]), before[1] + share * (corner[1] - before[1])))
        if near >= 0:
            clipped.append(corner)
    return clipped
