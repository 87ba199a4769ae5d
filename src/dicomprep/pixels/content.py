"""Where the content of a picture lies: the breast, the collimated field, the body. One method for each, one box.

A small version of the picture is enough. What is not sure to be empty is kept: the whole frame, where nothing is.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dicomprep.pixels.geometry import Box
from dicomprep.pixels.resampling import Grid

__all__ = [
    "WHOLE_FRAME",
    "Content",
    "Fact",
    "Placement",
    "find_content",
    "find_heavier_side",
    "halvings_of_search",
    "to_source_box",
]

MIN_SIDE, MIN_SIDE_OF_SECTIONS = 256, 128
"""Rows and columns that are searched, where there are as many: the shorter side of a picture that is halved for it.

Markers, which would be lost in fewer, are in projections only.
"""

LEVELS = 128
"""Of gray, into which the border of a picture is sorted to find its background."""

SPREAD = 2
"""Every so many rows and columns are looked at for the range of grays and for noise."""

NOISE_WIDTHS = 5.0
"""Standard deviations from the background within which a pixel belongs to it."""

TOLERANCES = (0.04, 0.08, 0.15)
"""The same as shares of the range of grays: the next is tried where the background is uneven, as by the heel effect."""

MIN_BACKGROUND_SHARE = {"breast": 0.15, "radiograph": 0.4, "body": 0.15, "ultrasound": 0.4}
"""Of the border's pixels, so many must be background, or there is none."""

MIN_PART_SHARE = {"breast": 1.0, "radiograph": 0.25, "body": 0.001, "hounsfield": 0.02, "ultrasound": 0.25}
"""Of the largest part's area, what another one must have to be content, too: an arm, the other leg, a second field."""

MIN_CONTENT_SHARE = 0.02
"""Of the picture; less is a mistake."""

MAX_STRAY_SHARE = 0.35
"""Of a strip that is cut off a radiograph: more than that is no marker."""

MAX_DEPTH = 0.2
"""How far from black or white a background may be, as a share of the range: it is no tissue."""

TIP_SIDES = 3
"""How far from the thick of the content its tips may reach, in widths of the lines that are none."""

OPENING_PARTS = 100
"""Lines thinner than this part of the longer side are no content: edges of shutters, tables, bridges to markers."""

AIR_HU = -500.0
"""Between air and the body, in Hounsfield units."""

EDGE_PARTS, HEAVIER = 20, 3
"""The part of the columns at each edge in which tissue is weighed; the chest wall has so many times as much."""

CONSTANT = 0.01
"""How far the pixels of an even border may differ, as a share of the range."""

Mask = NDArray[np.bool_]


class Content(StrEnum):
    """What is looked for in a picture."""

    BREAST = "breast"
    """The largest connected part that is brighter than air, or darker where the picture is inverted."""
    FIELD = "radiograph"
    """What differs from an even surrounding: a collimated field, or a limb in direct exposure."""
    HOUNSFIELD = "hounsfield"
    """What is denser than air; values are in Hounsfield units."""
    BODY = "body"
    """What is brighter than the background at the border."""
    ULTRASOUND = "ultrasound"
    """The fan, without the writing around it."""
    FRAMED = "framed"
    """What lies within a border of one value."""


class Fact(StrEnum):
    """What became of the wish to crop, to orient or to blank an image; the summary counts them."""

    CROPPED = "cropped"
    FILLS_FRAME = "the content fills the frame"
    NO_BACKGROUND = "no even background at the border"
    NO_PICTURE = "masks, dose grids, maps and tiles"
    FLIPPED = "flipped"
    SIDE_UNKNOWN = "side of the breast unknown"
    SIDE_CONTRADICTED = "side of the breast contradicted by the picture"
    BLANKED = "blanked"


@dataclass(frozen=True, slots=True)
class Placement:
    """What part of a frame is drawn, and which way round: the same for all frames of a file."""

    region: Box | None = None
    """In pixels of the source; None for the whole frame."""
    flipped: tuple[bool, bool] = (False, False)
    """Whether rows and columns are reversed."""
    regions: tuple[Box, ...] = ()
    """What holds the picture by the header; what is outside of all of them may be writing. Empty: nobody says."""
    may_show_text: bool = False
    """Lines of text are looked for and blanked."""
    facts: tuple[Fact, ...] = ()


WHOLE_FRAME = Placement()


@dataclass(frozen=True, slots=True)
class _Background:
    """The gray at the border of a picture."""

    level: float
    noise: float
    """Standard deviation of neighboring pixels."""
    span: float
    """Of the grays of the picture."""
    low: float
    """The darkest of them."""

    def reach(self, tolerance: float) -> float:
        """How far from its level a pixel may be to belong to it."""
        return max(NOISE_WIDTHS * self.noise, tolerance * self.span)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What differs from the background: (rows, columns) each."""

    parts: Mask
    """The content."""
    others: Mask
    """Markers, lines and specks."""


def find_content(picture: NDArray[Any], content: Content, *, margin: float = 0.0) -> Box | None:
    """Find the box around the content of a small picture, which shows nothing else where that is possible.

    `picture` is (rows, columns) of any dtype, modality values for `Content.HOUNSFIELD`; `margin` is what the box has
    on each side in percent of its rows or columns, as far as no marker is met, and at least a pixel. Returns (top,
    left, bottom, right) in its pixels; None where it is not sure what is content.

    >>> frame = np.zeros((64, 64)); frame[10:50, :30] = 100.0
    >>> find_content(frame, Content.BREAST)
    (9, 0, 51, 31)
    """
    values = np.nan_to_num(np.asarray(picture, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if min(values.shape) < 16:
        return None
    found = _find_parts(values, content)
    return None if found is None else _widen(_bounds(found.parts), found.others, margin)


def find_heavier_side(picture: NDArray[Any]) -> str:
    """Find on which side of a small picture of a breast its chest wall is: L, R, or nothing where that is not clear.

    `picture` is (rows, columns) of any dtype.
    """
    found = _find_parts(np.asarray(picture, np.float32), Content.BREAST)
    if found is None:
        return ""
    edge = max(2, picture.shape[1] // EDGE_PARTS)
    left, right = (np.count_nonzero(part) for part in (found.parts[:, :edge], found.parts[:, -edge:]))
    return "L" if left > HEAVIER * right else "R" if right > HEAVIER * left else ""


def halvings_of_search(shape: tuple[int, ...], content: Content) -> int:
    """How often a frame of so many rows and columns is halved before it is searched."""
    least = MIN_SIDE_OF_SECTIONS if content in (Content.HOUNSFIELD, Content.BODY) else MIN_SIDE
    return max(0, int(np.log2(max(1, min(shape[:2]) / least))))


def _find_parts(values: NDArray[np.float32], content: Content) -> _Parts | None:
    if content is Content.FRAMED:
        return _find_framed(values)
    if content is Content.HOUNSFIELD:
        return _divide(values > AIR_HU, content)
    background = _find_background(values, MIN_BACKGROUND_SHARE[content])
    if background is None or not _is_plausible(background, content):
        return None
    found = None
    for tolerance in TOLERANCES:
        mask = _differing(values, background, tolerance, is_two_sided=content in (Content.FIELD, Content.ULTRASOUND))
        found = _divide(mask, content)
        if found is not None and not _spans(_bounds(found.parts), values.shape, content):
            break
    return _keep_strips(found) if content is Content.FIELD and found is not None else found


def _find_background(values: NDArray[np.float32], min_share: float) -> _Background | None:
    """The gray that is most frequent at the border; None where that is not frequent enough."""
    low, high = np.percentile(values[::SPREAD, ::SPREAD], (0.5, 99.5))
    if high <= low:
        low, high = values.min(), values.max()
    if high <= low:
        return None
    border = _border_of(values)
    counts, edges = np.histogram(np.clip(border, low, high), LEVELS, (float(low), float(high)))
    near = np.convolve(counts, np.ones(3), "same")
    first = int(near.argmax())
    peak = border[(border >= edges[max(0, first - 1)]) & (border <= edges[min(LEVELS, first + 2)])]
    level = float(np.median(peak if peak.size else border))
    some = values[::SPREAD]
    is_near = np.abs(some - level) <= TOLERANCES[0] * (high - low)
    steps = np.abs(np.diff(some, axis=1))[is_near[:, 1:] & is_near[:, :-1]]
    noise = float(np.median(steps)) / 0.954 if steps.size else 0.0
    found = _Background(level, min(noise, 0.05 * float(high - low)), float(high - low), float(low))
    share = np.count_nonzero(np.abs(border - level) <= found.reach(TOLERANCES[0])) / border.size
    return found if share >= min_share else None


def _is_plausible(background: _Background, content: Content) -> bool:
    """Whether a gray can be that of air or of a shutter: near black or white; in MR and the like near zero."""
    if content is Content.BODY:
        return abs(background.level) <= MAX_DEPTH * (background.low + background.span)
    place = (background.level - background.low) / background.span
    return min(place, 1 - place) <= MAX_DEPTH


def _border_of(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The pixels at the edges, but for the outermost: frames may be drawn there."""
    rows, columns = values.shape
    down, right = max(2, rows // 32), max(2, columns // 32)
    inner = values[1:-1, 1:-1]
    parts = (inner[:down], inner[-down:], inner[down:-down, :right], inner[down:-down, -right:])
    return np.concatenate([part.ravel() for part in parts])


def _differing(values: NDArray[np.float32], background: _Background, tolerance: float, *, is_two_sided: bool) -> Mask:
    """What is no background: on both sides of it, or on the one where more is."""
    reach = background.reach(tolerance)
    brighter, darker = values > background.level + reach, values < background.level - reach
    if is_two_sided:
        return np.asarray(brighter | darker)
    return brighter if np.count_nonzero(brighter) >= np.count_nonzero(darker) else darker


def _divide(mask: Mask, content: str) -> _Parts | None:
    """The largest connected part, and others that are large enough; thin lines do not connect."""
    side = 2 * (max(mask.shape) // OPENING_PARTS // 2) + 3
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    framed = cv2.copyMakeBorder(mask.astype(np.uint8), side, side, side, side, cv2.BORDER_REPLICATE)
    opened = cv2.morphologyEx(framed, cv2.MORPH_OPEN, kernel)[side:-side, side:-side]
    _, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    if areas.size == 0 or areas.max() < MIN_CONTENT_SHARE * mask.size:
        return None
    is_kept = np.concatenate([[False], areas >= MIN_PART_SHARE[content] * areas.max()])
    parts = is_kept.astype(np.uint8)[labels]
    grown = _grow_tips(parts, mask.astype(np.uint8), opened - parts, times=TIP_SIDES * side)
    return _Parts(grown, mask & ~grown)


def _grow_tips(parts: NDArray[np.uint8], mask: NDArray[np.uint8], others: NDArray[np.uint8], *, times: int) -> Mask:
    """What an opening took away, as far as it is connected: not that which is nearer to other parts."""
    near = np.ones((3, 3), np.uint8)
    free = mask & (1 - cv2.dilate(others, near))
    for _ in range(times):
        parts = parts | (cv2.dilate(parts, near) & free)
    return np.asarray(parts > 0)


def _bounds(mask: Mask) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _widen(box: Box, others: Mask, margin: float) -> Box:
    """Move each side outward, pixel by pixel in turn, until the margin is reached or a marker would be let in."""
    specks = cv2.morphologyEx(others.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    taboo = cv2.dilate(specks, np.ones((3, 3), np.uint8)) > 0
    down, right = (max(1, round((box[axis + 2] - box[axis]) * margin / 100)) for axis in (0, 1))
    top, left, bottom, end = box
    for step in range(max(down, right)):
        if step < down and top > 0 and not taboo[top - 1, left:end].any():
            top -= 1
        if step < down and bottom < taboo.shape[0] and not taboo[bottom, left:end].any():
            bottom += 1
        if step < right and left > 0 and not taboo[top:bottom, left - 1].any():
            left -= 1
        if step < right and end < taboo.shape[1] and not taboo[top:bottom, end].any():
            end += 1
    return top, left, bottom, end


def _spans(box: Box, shape: tuple[int, ...], content: Content) -> bool:
    """Whether a box reaches from side to side, which a breast does not, and whose surrounding then is uneven."""
    is_wide = box[1] <= 1 and box[3] >= shape[1] - 1
    return is_wide if content is Content.BREAST else is_wide and box[0] <= 1 and box[2] >= shape[0] - 1


def _keep_strips(found: _Parts) -> _Parts:
    """Count as content what is beside it where that is more than markers, for the field may be as bright as its rim."""
    top, left, bottom, right = _bounds(found.parts)
    parts = found.parts.copy()
    for strip in (np.s_[:top], np.s_[:, :left], np.s_[bottom:], np.s_[:, right:]):
        stray = found.others[strip]
        if np.count_nonzero(stray) > MAX_STRAY_SHARE * stray.size:
            parts[strip] = True
    return _Parts(parts, found.others & ~parts)


def _find_framed(values: NDArray[np.float32]) -> _Parts | None:
    """What is left without rows and columns of the value that the corners have."""
    corners = values[[0, 0, -1, -1], [0, -1, 0, -1]]
    level = float(np.median(corners))
    reach = CONSTANT * float(np.ptp(values))
    if np.count_nonzero(np.abs(corners - level) <= reach) < 3:
        return None
    mask = np.abs(values - level) > reach
    return _Parts(mask, np.zeros_like(mask)) if mask.any() else None


def to_source_box(box: Box, grid: Grid, shape: tuple[int, int]) -> Box:
    """A box of decoded samples in pixels of the source, which has `shape` (rows, columns)."""
    top, left, bottom, right = (round((at - grid.phase) * grid.step) for at in box)
    return max(0, top), max(0, left), min(shape[0], bottom), min(shape[1], right)
