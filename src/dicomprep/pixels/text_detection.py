"""Lines of text in a picture, found by their form: thin strokes of one height, side by side on one line.

No model and no reading: what is found is that there is text, not what it says.
"""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_SIDE", "MIN_STROKE_CONTRAST", "scales", "shows_text", "thin_strokes"]

MAX_SIDE = 1024
"""Rows or columns searched; a larger image is reduced by a whole number first: text lost by that is illegible."""

MIN_STROKE_CONTRAST = 40
"""Gray levels between a stroke and what is around it."""

MIN_LINE_LETTERS, MAX_IMAGE_LETTERS = 4, 2000
"""Of a line; of a picture, for noise is full of what might be letters."""

LETTER_ROWS = (5, 44)
"""Rows of a letter, at least and at most."""

THICKER = np.ones((7, 7), np.uint8)
"""Than the strokes of letters: what is taken away by an opening with it is thin."""

Boxes = NDArray[np.int32]
"""(letters, 4): left, top, width, height."""


def shows_text(pixels: NDArray[Any]) -> bool:
    """Detect whether a line of at least four letters is burned in.

    `pixels` is (rows, columns) or (rows, columns, 3), uint8 or uint16, as drawn.
    """
    return any(
        _longest_line(_letters(strokes)) >= MIN_LINE_LETTERS
        for grayscale in scales(pixels)
        for strokes in thin_strokes(grayscale)
    )


def scales(pixels: NDArray[Any]) -> Iterator[NDArray[np.uint8]]:
    """Reduce the picture to gray, then to half its size, where large letters are as thin as small ones.

    `pixels` is (rows, columns[, 3]), uint8 or uint16. Returns (rows, columns) of at most 1024, twice.
    """
    grayscale = (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
    if grayscale.ndim == 3:  # colored letters are as bright as white ones
        grayscale = cv2.max(cv2.max(grayscale[..., 0], grayscale[..., 1]), grayscale[..., 2])
    times = -(-max(grayscale.shape) // MAX_SIDE)
    for shrink in (times, 2 * times):
        shape = (grayscale.shape[1] // shrink, grayscale.shape[0] // shrink)
        if min(shape) >= 64:
            yield grayscale if shrink == 1 else cv2.resize(grayscale, shape, interpolation=cv2.INTER_AREA)


def thin_strokes(grayscale: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """How far strokes are above what is around them, and below it: bright letters, dark letters.

    `grayscale` is (rows, columns). Returns (rows, columns), twice.
    """
    ways = (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT)
    bright, dark = (np.asarray(cv2.morphologyEx(grayscale, way, THICKER), np.uint8) for way in ways)
    return bright, dark


def _letters(strokes: NDArray[np.uint8]) -> Boxes:
    """The boxes of what has the size and the form of a letter, from left to right."""
    _, mask = cv2.threshold(strokes, MIN_STROKE_CONTRAST, 255, cv2.THRESH_BINARY)
    found = cv2.connectedComponentsWithStatsWithAlgorithm(mask, 8, cv2.CV_32S, cv2.CCL_GRANA)
    boxes, area = found[2][1:, :4], found[2][1:, 4]
    _, _, width, height = boxes.T
    fill = area / (width * height)
    fits = (height >= LETTER_ROWS[0]) & (height <= LETTER_ROWS[1]) & (width <= 1.7 * height) & (width >= 0.1 * height)
    fits &= (fill > 0.2) & ((fill < 0.95) | (width < 0.4 * height))
    letters = boxes[fits]
    return letters[np.argsort(letters[:, 0])]


def _longest_line(letters: Boxes) -> int:
    """The most letters of like height that follow each other on one line, no further apart than they are high."""
    count = len(letters)
    if not MIN_LINE_LETTERS <= count <= MAX_IMAGE_LETTERS:
        return 0
    left, top, width, height = letters.T
    bottom, right = top + height, left + width
    higher, lower = np.maximum.outer(height, height), np.minimum.outer(height, height)
    gap = left[None, :] - right[:, None]
    follows = (gap >= -1) & (gap <= higher) & (lower >= 0.6 * higher) & (left[None, :] > left[:, None])
    follows &= np.abs(np.subtract.outer(bottom, bottom)) <= np.maximum(1, 0.15 * higher)
    lengths = np.ones(count, int)
    for letter in range(count):
        before = lengths[follows[:, letter]]
        if before.size:
            lengths[letter] = 1 + before.max()
    return int(lengths.max())
