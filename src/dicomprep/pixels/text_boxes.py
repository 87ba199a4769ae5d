"""Where writing is in a picture: lines of strokes of one color, on an even ground or on the picture itself."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dicomprep.pixels.geometry import Box
from dicomprep.pixels.text_detection import MIN_STROKE_CONTRAST, scales, thin_strokes

__all__ = ["find_text"]

MAX_UNEVENNESS = 12
"""Gray levels by which an even ground may differ around a stroke."""

MAX_UNEVEN_SHARE, MAX_UNEVEN_SHARE_LONG, LONG_LINE_LETTERS = 0.1, 0.6, 5
"""Of a stroke's or a line's box, where the ground may be uneven all the same; more around a line of so many letters."""

NOISE_HEIGHTS = 2.0
"""How far around a line strokes are counted that are in none, in heights of its letters."""

ROOM = 0.5
"""Of even ground around a line, in heights of its letters."""

MAX_TEXT_SHARE = 0.1
"""Of a picture's pixels, for a line with all that is near it; what is larger is a picture."""

MIN_INK_RATIO, MIN_INK_RATIO_EVEN = 0.9, 0.5
"""Of the contrast of neighboring letters: a line is written in one color, as noise is not. Thin ones are paler."""

MIN_LETTERS_EVEN, MIN_LETTERS = 3, 8
"""Of a line on even ground, and elsewhere, where noise makes shorter ones."""

MIN_INK_SHORT, MIN_INK_WORD = 100, 150
"""Gray levels between letters and even ground: of a line that is not long, and of letters that have run into one. The
speckle of ultrasound makes such shapes, but paler: up to 92 and 140 in the loops that were looked at."""

LETTER_ROWS, LETTER_ROWS_EVEN = (5, 44), (3, 60)
"""Rows of a letter, at least and at most."""

MAX_STROKES, MAX_STROKES_EVEN = 400, 2000
"""Of a picture that are compared with each other; bounds time and memory. Beyond that there is noise, not writing."""

MIN_WORD_HEIGHTS, MIN_WORD_FILL = 2.5, 0.25
"""Heights that letters are wide that have run into one, and how much of their box is ink: a curve has less."""

WORD_GAP = 1.2
"""Between letters of one line, in heights of a letter."""

NEAR_ROWS, NEAR_COLUMNS = 1.5, 2.5
"""How far from a line writing on even ground belongs to it: a comma, a short word; in heights of a letter."""

PAD = 0.4
"""What is added to the box of a line on each side, in heights of its letters."""

_BOLD = np.ones((15, 15), np.uint8)
"""Bolder than letters: an opening or closing with it leaves the ground on which they are written."""

Mask = NDArray[np.bool_]


class _Strokes(NamedTuple):
    """What may be letters, by columns of equal length."""

    left: NDArray[np.int32]
    top: NDArray[np.int32]
    right: NDArray[np.int32]
    bottom: NDArray[np.int32]
    ink: NDArray[np.int32]
    """Contrast with what is around them."""
    area: NDArray[np.int32]

    @property
    def height(self) -> NDArray[np.int32]:
        return self.bottom - self.top

    def only(self, wanted: NDArray[Any]) -> "_Strokes":
        return _Strokes(*(column[wanted] for column in self))


def find_text(pixels: NDArray[Any]) -> list[Box]:
    """Find the writing in a picture.

    `pixels` is (rows, columns) or (rows, columns, 3), uint8 or uint16, as drawn. Returns boxes (top, left, bottom,
    right) in its pixels, which may overlap.
    """
    boxes: set[Box] = set()
    rows, columns = pixels.shape[:2]
    for grayscale in scales(pixels):
        times = columns / grayscale.shape[1], rows / grayscale.shape[0]
        for top, left, bottom, right in _find_at(grayscale):
            across, down = times
            corner = (max(0, int(top * down)), max(0, int(left * across)))
            boxes.add((*corner, min(rows, -int(-bottom * down // 1)), min(columns, -int(-right * across // 1))))
    return sorted(boxes)


def _find_at(grayscale: NDArray[np.uint8]) -> Iterator[Box]:
    """Lines of bright letters, then of dark ones, at one scale."""
    bright, dark = thin_strokes(grayscale)
    for strokes, way in ((bright, cv2.MORPH_OPEN), (dark, cv2.MORPH_CLOSE)):
        uneven = _count_uneven(np.asarray(cv2.morphologyEx(grayscale, way, _BOLD), np.uint8))
        found = _measure(strokes)
        is_even = _is_even(uneven, (found.top, found.left, found.bottom, found.right))
        on_even = found.only(is_even & _has_rows(found, LETTER_ROWS_EVEN))
        most = MAX_TEXT_SHARE * grayscale.size
        lines = (line for line in _lines_on_even(on_even) if _has_room(line, uneven))
        yield from (_complete(line, on_even, found, most) for line in lines)
        elsewhere = found.only(~is_even & _has_rows(found, LETTER_ROWS) & _is_narrow(found))
        yield from (_padded(_bound(line), line) for line in _lines(elsewhere, MIN_INK_RATIO, MAX_STROKES, MIN_LETTERS))


def _count_uneven(ground: NDArray[np.uint8]) -> NDArray[np.int32]:
    """How many pixels above and to the left of each place are not of one gray with those around them."""
    near = np.ones((9, 9), np.uint8)
    spread = cv2.dilate(ground, near).astype(np.int32) - cv2.erode(ground, near)
    return np.asarray(cv2.integral((spread > MAX_UNEVENNESS).astype(np.uint8)), np.int32)


def _is_even(uneven: NDArray[np.int32], box: tuple[Any, Any, Any, Any], share: float = MAX_UNEVEN_SHARE) -> Any:  # noqa: ANN401  (one, or an array)
    """Whether the ground within (top, left, bottom, right) is of one gray, nearly everywhere."""
    top, left, bottom, right = box
    inside = uneven[bottom, right] - uneven[top, right] - uneven[bottom, left] + uneven[top, left]
    return inside <= share * (bottom - top) * (right - left)


def _has_room(line: _Strokes, uneven: NDArray[np.int32]) -> bool:
    """Whether the ground is even above and below a line, too: in anatomy it hardly ever is."""
    top, left, bottom, right = _bound(line)
    room = round(ROOM * float(np.median(line.height)))
    rows, columns = uneven.shape[0] - 1, uneven.shape[1] - 1
    around = (max(0, top - room), max(0, left - room), min(rows, bottom + room), min(columns, right + room))
    is_long = len(line.left) >= LONG_LINE_LETTERS
    return bool(_is_even(uneven, around, MAX_UNEVEN_SHARE_LONG if is_long else MAX_UNEVEN_SHARE))


def _measure(strokes: NDArray[np.uint8]) -> _Strokes:
    """All connected strokes from left to right."""
    _, mask = cv2.threshold(strokes, MIN_STROKE_CONTRAST, 255, cv2.THRESH_BINARY)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    left, top, width, height, area = stats[1:].T
    ink = np.zeros(len(stats), np.int32)
    np.maximum.at(ink, labels[mask > 0], strokes[mask > 0].astype(np.int32))
    found = _Strokes(left, top, left + width, top + height, ink[1:], area)
    return found.only(np.argsort(left, kind="stable"))


def _has_rows(found: _Strokes, limits: tuple[int, int]) -> Mask:
    return np.asarray((found.height >= limits[0]) & (found.height <= limits[1]))


def _is_narrow(found: _Strokes) -> Mask:
    width = found.right - found.left
    return np.asarray((width <= 1.7 * found.height) & (width >= 0.1 * found.height))


def _lines_on_even(found: _Strokes) -> Iterator[_Strokes]:
    """Lines of two strokes or more, and letters that have run into one."""
    lines = list(_lines(found, MIN_INK_RATIO_EVEN, MAX_STROKES_EVEN, MIN_LETTERS_EVEN))
    written = {(left, top) for line in lines for left, top in zip(line.left.tolist(), line.top.tolist(), strict=True)}
    stray = [place not in written for place in zip(found.left.tolist(), found.top.tolist(), strict=True)]
    bold = (line for line in lines if len(line.left) >= LONG_LINE_LETTERS or np.median(line.ink) >= MIN_INK_SHORT)
    yield from (line for line in bold if not _lies_in_noise(line, found.only(np.array(stray, bool))))
    width = found.right - found.left
    words = (width >= MIN_WORD_HEIGHTS * found.height) & _has_rows(found, LETTER_ROWS)
    words &= (found.area >= MIN_WORD_FILL * width * found.height) & (found.ink >= MIN_INK_WORD)
    yield from (found.only(np.array([word])) for word in np.flatnonzero(words))


def _lies_in_noise(line: _Strokes, stray: _Strokes) -> bool:
    """Whether there are twice as many strokes around a line that are in none as there are in it."""
    reach = NOISE_HEIGHTS * float(np.median(line.height))
    return len(_within(stray, _bound(line), down=reach, right=reach).left) > max(4, 2 * len(line.left))


def _lines(found: _Strokes, ink_ratio: float, max_strokes: int, min_letters: int) -> Iterator[_Strokes]:
    """Strokes of like height and color that stand on one line, no further apart than letters and words are."""
    count = len(found.left)
    if not min_letters <= count <= max_strokes:
        return
    higher = np.maximum.outer(found.height, found.height)
    gap = found.left[None, :] - found.right[:, None]
    follows = (gap >= -0.3 * higher) & (gap <= WORD_GAP * higher) & (found.left[None, :] > found.left[:, None])
    follows &= np.minimum.outer(found.height, found.height) >= 0.6 * higher
    follows &= np.abs(np.subtract.outer(found.bottom, found.bottom)) <= np.maximum(1.5, 0.2 * higher)
    follows &= np.minimum.outer(found.ink, found.ink) >= ink_ratio * np.maximum.outer(found.ink, found.ink)
    line_of = np.arange(count)
    for letter in range(count):
        before = np.unique(line_of[follows[:, letter]])
        if before.size:
            line_of[np.isin(line_of, before)] = before[0]
            line_of[letter] = before[0]
    lines, sizes = np.unique(line_of, return_counts=True)
    yield from (found.only(line_of == line) for line in lines[sizes >= min_letters])


def _complete(line: _Strokes, on_even: _Strokes, found: _Strokes, max_pixels: float) -> Box:
    """The box of a line and of what else is written near it: on even ground nothing but writing is thin.

    Where the ground is uneven, only letters that go on with the line belong to it.
    """
    height, ink = int(np.median(line.height)), float(np.median(line.ink))
    is_letter = (found.height <= 1.7 * height) & (found.height >= height / 4)
    alike = found.only(is_letter & (found.ink >= MIN_INK_RATIO * ink))
    on_even = on_even.only(on_even.height <= 1.7 * height)
    box, grown = (0, 0, 0, 0), _bound(line)
    while box != grown:
        box = grown
        written = _within(on_even, box, down=NEAR_ROWS * height, right=NEAR_COLUMNS * height)
        going_on = _within(alike, box, down=-height / 4, right=WORD_GAP * height)
        grown = _bound(_Strokes(*map(np.concatenate, zip(written, going_on, line, strict=True))))
    is_text = (box[2] - box[0]) * (box[3] - box[1]) <= max_pixels
    return _padded(box if is_text else _bound(line), line)


def _within(found: _Strokes, box: Box, *, down: float, right: float) -> _Strokes:
    """Those that are no farther from a box than that."""
    near = (found.left <= box[3] + right) & (found.right >= box[1] - right)
    return found.only(near & (found.top <= box[2] + down) & (found.bottom >= box[0] - down))


def _bound(line: _Strokes) -> Box:
    return int(line.top.min()), int(line.left.min()), int(line.bottom.max()), int(line.right.max())


def _padded(box: Box, line: _Strokes) -> Box:
    pad = max(2, round(PAD * float(np.median(line.height))))
    return box[0] - pad, box[1] - pad, box[2] + pad, box[3] + pad
