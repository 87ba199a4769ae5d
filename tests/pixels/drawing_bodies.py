"""Breasts and radiographs with markers, drawn at random, with what is tissue and what is marker known."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Drawn", "draw_breast", "draw_radiograph", "draw_text"]


@dataclass(frozen=True)
class Drawn:
    """A picture of 12 bits, and where its tissue and its markers are: (rows, columns) each."""

    pixels: NDArray[np.uint16]
    tissue: NDArray[np.bool_]
    marker: NDArray[np.bool_]
    is_right: bool = False
    """The chest wall is on the right."""


def draw_breast(random: np.random.Generator, shape: tuple[int, int] = (832, 640)) -> Drawn:
    """A breast at the left or the right edge, with skin, texture, perhaps an implant, and markers in the air."""
    rows, columns = shape
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    middle, half = rows * random.uniform(0.4, 0.6), rows * random.uniform(0.2, 0.42)
    reach = columns * random.uniform(0.3, 0.75)
    depth = 1 - np.abs((y - middle) / half) ** random.uniform(1.7, 2.8) - (x / reach) ** random.uniform(1.7, 2.5)
    if random.random() < 0.5:  # the pectoral muscle, as in MLO views
        depth = np.maximum(depth, 0.6 * (1 - x / (0.4 * reach) - y / (middle + 0.3 * half)))
    tissue = depth > 0
    skin = np.clip(depth * random.uniform(4, 12), 0, 1) * random.uniform(0.3, 0.6) + 0.1
    picture = np.where(tissue, skin + 0.2 * _texture(random, shape), 0.0)
    if random.random() < 0.15:
        picture[((y - middle) / (0.6 * half)) ** 2 + (x / (0.5 * reach)) ** 2 < 1] = 0.95
    marker = _place_markers(random, picture, tissue)
    picture += random.uniform(0.0, 0.04) + random.uniform(0, 0.03) * x / columns * random.integers(0, 2)
    return _finish(random, picture, tissue, marker)


def draw_radiograph(random: np.random.Generator, shape: tuple[int, int] = (832, 640)) -> Drawn:
    """A field, turned by some degrees, with a body in it; markers outside of the field's box."""
    rows, columns = shape
    size = (columns * random.uniform(0.4, 0.8), rows * random.uniform(0.4, 0.8))
    center = (columns * random.uniform(0.45, 0.55), rows * random.uniform(0.45, 0.55))
    corners = cv2.boxPoints((center, size, random.uniform(-12, 12)))
    field = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(field, np.rint(corners).astype(np.int32), 1)
    tissue = field > 0
    outside = random.choice([0.02, 0.98])
    body = 0.15 + 0.6 * _texture(random, shape)
    if random.random() < 0.5:  # direct exposure around a limb
        y, x = np.mgrid[0:rows, 0:columns]
        limb = np.abs(x - center[0]) < 0.3 * size[0] * (1 + 0.3 * np.sin(y / 70))
        body = np.where(limb, body, 0.05 if outside > 0.5 else 0.2)
    picture = np.where(tissue, body, outside)
    box = np.zeros(shape, bool)
    (top, left), (bottom, right) = (bound(np.argwhere(tissue), axis=0) for bound in (np.min, np.max))
    box[max(0, top - 4) : bottom + 5, max(0, left - 4) : right + 5] = True
    return _finish(random, picture, tissue, _place_markers(random, picture, box, gray=1 - outside))


def draw_text(canvas: NDArray[Any], text: str, at: tuple[int, int], *, scale: float, gray: Any, thick: int) -> None:
    """Write on a canvas, the baseline beginning at (row, column)."""
    cv2.putText(canvas, text, (at[1], at[0]), cv2.FONT_HERSHEY_SIMPLEX, scale, gray, thick, cv2.LINE_AA)


def _texture(random: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    coarse = random.uniform(0, 1, (shape[0] // 40 + 2, shape[1] // 40 + 2)).astype(np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def _place_markers(
    random: np.random.Generator, picture: NDArray[Any], body: NDArray[np.bool_], gray: float = 1.0
) -> NDArray[np.bool_]:
    """Up to three blocks or words outside of the box of the `body`, if there is room."""
    marker = np.zeros(picture.shape, bool)
    (top, left), (bottom, right) = (bound(np.argwhere(body), axis=0) for bound in (np.min, np.max))
    free = np.ones(picture.shape, bool)
    free[top : bottom + 1, left : right + 1] = False
    for _ in range(random.integers(1, 4)):
        height, width = random.integers(18, 50), random.integers(25, 110)
        for _try in range(30):
            row, column = (
                int(random.integers(2, length - taken - 2))
                for length, taken in zip(picture.shape, (height, width), strict=True)
            )
            if free[row - 2 : row + height + 2, column - 2 : column + width + 2].all():
                ink = np.zeros((height, width), np.uint8)
                if random.random() < 0.5:
                    ink[:] = 255
                else:
                    draw_text(ink, "R MLO"[: width // 14], (height - 4, 0), scale=height / 32, gray=255, thick=2)
                place = (slice(row, row + height), slice(column, column + width))
                picture[place] += (gray - picture[place]) * (ink / 255)
                marker[place] |= ink > 200
                break
    return marker


def _finish(
    random: np.random.Generator, picture: NDArray[Any], tissue: NDArray[np.bool_], marker: NDArray[np.bool_]
) -> Drawn:
    """Noise, sides, polarity."""
    picture = picture + random.normal(0, random.uniform(0, 0.012), picture.shape)
    is_right = bool(random.random() < 0.5)
    if is_right:
        picture, tissue, marker = picture[:, ::-1], tissue[:, ::-1], marker[:, ::-1]
    pixels = np.clip(picture * 4095, 0, 4095).astype(np.uint16)
    pixels = 4095 - pixels if random.random() < 0.3 else pixels
    return Drawn(np.ascontiguousarray(pixels), tissue, marker, is_right)
