"""From stored values to gray: modality transform, VOI transform, inversion (DICOM PS3.3 C.11.1, C.11.2, C.11.6)."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "GrayscaleTransform",
    "LookupTable",
    "Rescale",
    "ValueRange",
    "Window",
    "apply_lookup",
    "apply_window",
    "draw_grayscale",
    "linear_ends",
    "may_be_averaged",
    "shorten",
    "stored_values_per_gray",
    "value_span",
]

Values = NDArray[np.float64]
MAX_NARROW_SHARE = 0.2
"""Share of the stored range below which a window is narrow."""

STAIRCASE_PARTS = 32
"""Parts of a table's rise: a step of more than one of them makes the table a staircase."""

LONG = 10**6
"""From here on a number of a header may be somebody's telephone number."""

KEPT_DIGITS = 4
_TYPE_ENDS = frozenset(2**bits - less for bits in range(20, 65) for less in (0, 1))

NEAR = 0.25
"""Padding that lies farther from the window than this share of its width is far away."""


@dataclass(frozen=True, slots=True)
class Rescale:
    """Modality value = slope × stored value + intercept."""

    slope: float = 1.0
    intercept: float = 0.0


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A Modality LUT or VOI LUT: entries for consecutive input values (PS3.3 C.11.1.1, C.11.2.1.1)."""

    first: int
    """The input value that the first entry stands for."""
    bits: int
    """Significant bits of an entry."""
    entries: bytes
    """Little-endian uint16."""

    @property
    def values(self) -> NDArray[np.uint16]:
        """The entries. Returns (entries,) uint16."""
        return np.frombuffer(self.entries, "<u2")


@dataclass(frozen=True, slots=True)
class Window:
    """A VOI window in modality units; function is LINEAR, LINEAR_EXACT or SIGMOID (PS3.3 C.11.2.1.2)."""

    center: float
    width: float
    function: str = "LINEAR"

    @property
    def notation(self) -> str:
        """As viewers write it: `W 1500 L −600`."""
        return f"W {self.width:g} L {self.center:g}".replace("-", "−")


@dataclass(frozen=True, slots=True)
class ValueRange:
    """Modality values drawn as black and as white, where the file names no window."""

    low: float
    high: float
    rule: str
    """How it was chosen, in words."""


@dataclass(frozen=True, slots=True)
class GrayscaleTransform:
    """All that turns a stored value into a gray."""

    modality: Rescale | LookupTable
    voi: Window | LookupTable | ValueRange
    inverted: bool = False
    """Low values are drawn bright."""
    padding: tuple[int, int] | None = None
    """Lowest and highest stored value that stand for no measurement; drawn as background (PS3.3 C.7.5.1.1.2)."""


def apply_lookup(values: Values, table: LookupTable) -> Values:
    """Map values by a Modality LUT or VOI LUT (PS3.3 C.11.1.1.1, C.11.2.1.1).

    `values` is of any shape, float64; each is rounded, and what lies outside of the table takes its first or last
    entry. Returns the same shape, float64.

    >>> table = LookupTable(first=10, bits=8, entries=np.array([0, 100, 255], "<u2").tobytes())
    >>> apply_lookup(np.array([0.0, 11.2, 99.0]), table).tolist()
    [0.0, 100.0, 255.0]
    """
    index = np.clip(np.rint(values) - table.first, 0, len(table.values) - 1).astype(np.intp)
    return table.values[index].astype(np.float64)


def apply_window(values: Values, *, center: float, width: float, function: str = "LINEAR") -> Values:
    """Map modality values to 0 (black) … 1 (white) by a window.

    `values` is of any shape, float64, in the units of `center` and `width`; `function` is LINEAR (PS3.3 C.11.2.1.2.1),
    SIGMOID (C.11.2.1.3.1) or LINEAR_EXACT (C.11.2.1.3.2). Returns the same shape, float64. Raises ValueError for
    another function, or a width that the function does not allow.

    >>> apply_window(np.array([-160.0, 40.0, 240.0]), center=40, width=400, function="LINEAR_EXACT").tolist()
    [0.0, 0.5, 1.0]
    """
    if function == "SIGMOID" and width > 0:
        return 1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700)))
    if function == "LINEAR_EXACT" and width > 0:
        return np.clip((values - center) / width + 0.5, 0, 1)
    if function == "LINEAR" and width > 1:
        return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
    if function == "LINEAR" and width == 1:
        return (values > center - 0.5).astype(np.float64)
    raise ValueError(f"a {function} window of width {width:g} is not defined")


def linear_ends(voi: Window | LookupTable | ValueRange) -> tuple[float, float] | None:
    """The modality values from which on all is black or white; None where a curve has no such ends."""
    if isinstance(voi, ValueRange):
        return voi.low, voi.high
    if isinstance(voi, LookupTable) or voi.function == "SIGMOID":
        return None
    if voi.function == "LINEAR":
        middle, half = voi.center - 0.5, (voi.width - 1) / 2
    else:
        middle, half = voi.center, voi.width / 2
    return middle - half, middle + half


def apply_modality(stored: Values, modality: Rescale | LookupTable) -> Values:
    """Turn stored values into modality values, such as Hounsfield units (PS3.3 C.11.1).

    `stored` is of any shape, float64. Returns the same shape, float64.

    >>> apply_modality(np.array([0.0, 1024.0]), Rescale(slope=1, intercept=-1024)).tolist()
    [-1024.0, 0.0]
    """
    if isinstance(modality, LookupTable):
        return apply_lookup(stored, modality)
    return stored * modality.slope + modality.intercept


def apply_voi(values: Values, voi: Window | LookupTable | ValueRange) -> Values:
    """Turn modality values into 0 (black) … 1 (white), by a window, a table or a range (PS3.3 C.11.2).

    `values` is of any shape, float64. Returns the same shape, float64.
    """
    if isinstance(voi, LookupTable):
        return apply_lookup(values, voi) / (2**voi.bits - 1)
    if isinstance(voi, Window):
        return apply_window(values, center=voi.center, width=voi.width, function=voi.function)
    if voi.high <= voi.low:  # a constant image
        return (values > voi.high).astype(np.float64)
    return np.clip((values - voi.low) / (voi.high - voi.low), 0, 1)


def draw_grayscale(
    pixels: NDArray[Any], *, grayscale: GrayscaleTransform, bits_stored: int, depth: int
) -> NDArray[Any]:
    """Draw stored values as gray: modality, VOI, polarity, padding (PS3.3 C.11.1, C.11.2, C.11.6, C.7.5.1.1.2).

    `pixels` is (rows, columns) of any integer or float dtype, integers within `bits_stored` bits. Returns the same
    shape, uint8 or uint16 as `depth` (8 or 16) says. A table serves where it is smaller than the image; both ways give
    the same result.

    >>> rule = GrayscaleTransform(Rescale(1, -1024), Window(40, 400))
    >>> draw_grayscale(np.array([[0, 1064, 4095]], np.uint16), grayscale=rule, bits_stored=12, depth=8).tolist()
    [[0, 128, 255]]
    """
    if pixels.dtype.kind in "iu" and pixels.itemsize <= 2 and pixels.size >= 2 ** (bits_stored - 1):
        table = _gray_table(grayscale, bits_stored, pixels.dtype.str, depth)
        return np.asarray(cv2.LUT(pixels.view(f"u{pixels.itemsize}"), table))
    return _quantize(_shade(pixels.astype(np.float64), grayscale), depth)


def value_span(modality: Rescale | LookupTable, *, bits_stored: int, signed: bool) -> tuple[float, float]:
    """The lowest and the highest modality value that stored values of so many bits can give."""
    if isinstance(modality, LookupTable):
        return 0.0, float(2**modality.bits - 1)
    low = -(2 ** (bits_stored - 1)) if signed else 0
    ends = [modality.slope * end + modality.intercept for end in (low, low + 2**bits_stored - 1)]
    return min(ends), max(ends)


def may_be_averaged(grayscale: GrayscaleTransform, *, bits_stored: int) -> bool:
    """Whether means of stored values, drawn, are nearly the means of what is drawn.

    They are not where a narrow window cuts most values off, and not where padding would shine through.
    """
    if isinstance(grayscale.modality, LookupTable):
        return False
    if grayscale.padding is not None and not _fades_into_background(grayscale, grayscale.padding):
        return False
    voi = grayscale.voi
    span = voi.width if isinstance(voi, Window) else _rise(voi) if isinstance(voi, LookupTable) else math.inf
    return span >= MAX_NARROW_SHARE * abs(grayscale.modality.slope) * 2**bits_stored


def stored_values_per_gray(grayscale: GrayscaleTransform) -> float:
    """How far stored values of neighboring grays of 8 bits are apart; 0 where that differs or every value counts."""
    width = grayscale.voi.width if isinstance(grayscale.voi, Window) else 0.0
    if isinstance(grayscale.voi, ValueRange):
        width = grayscale.voi.high - grayscale.voi.low
    if isinstance(grayscale.modality, LookupTable) or grayscale.padding is not None:
        return 0.0
    return max(0.0, width / abs(grayscale.modality.slope) / 255)


def _rise(table: LookupTable) -> int:
    """Over how many input values a table rises or falls; 0 where it does both, or in coarse steps."""
    steps = np.diff(table.values.astype(np.int64))
    (changes,) = np.nonzero(steps)
    if (
        len(changes) == 0
        or steps.min() < 0 < steps.max()
        or np.abs(steps).max() * STAIRCASE_PARTS > np.abs(steps.sum())
    ):
        return 0
    return int(changes[-1] - changes[0] + 1)


def _fades_into_background(grayscale: GrayscaleTransform, padding: tuple[int, int]) -> bool:
    """Whether padding, taken for values, would be drawn as background, and as values that lie not far beyond it."""
    ends = linear_ends(grayscale.voi)
    if ends is None or ends[0] >= ends[1]:
        return False
    values = apply_modality(np.array(padding, np.float64), grayscale.modality)
    shades = (values - ends[0]) / (ends[1] - ends[0])
    beyond = shades - 1 if grayscale.inverted else -shades
    return bool(np.all((beyond >= 0) & (beyond <= NEAR)))


def shorten(number: float) -> float:
    """A number as it is recorded: a long one to four digits, which is near enough for a gray and no telephone number.

    The ends of integer types, which 32-bit images have, stay as they are.

    >>> shorten(1024.5), shorten(-2147483648), shorten(4917155501.0)
    (1024.5, -2147483648, 4917000000.0)
    """
    if not LONG <= abs(number) < math.inf or abs(number) in _TYPE_ENDS:
        return number
    return round(number, KEPT_DIGITS - len(str(int(abs(number)))))


@lru_cache(maxsize=16)
def _gray_table(grayscale: GrayscaleTransform, bits: int, dtype: str, depth: int) -> NDArray[Any]:
    """The gray of every value of an integer type of 8 or 16 bits; of those that `bits` bits cannot hold, nothing."""
    low = -(2 ** (bits - 1)) if np.dtype(dtype).kind == "i" else 0
    stored = np.arange(low, low + 2**bits)
    table = np.zeros(2 ** (8 * np.dtype(dtype).itemsize), np.uint8 if depth == 8 else np.uint16)
    table[stored] = _quantize(
        _shade(stored.astype(np.float64), grayscale), depth
    )  # values below zero count from the end
    table.flags.writeable = False
    return table


def _shade(stored: Values, grayscale: GrayscaleTransform) -> Values:
    background = np.isnan(stored)
    with np.errstate(over="ignore"):
        values = apply_modality(np.where(background, 0.0, stored), grayscale.modality)
        shade = apply_voi(values, grayscale.voi)
    if grayscale.inverted:
        shade = 1 - shade
    if grayscale.padding is not None:
        background |= (stored >= grayscale.padding[0]) & (stored <= grayscale.padding[1])
    return np.where(background, 0.0, shade)


def _quantize(shade: Values, depth: int) -> NDArray[Any]:
    return np.floor(shade * (2**depth - 1) + 0.5).astype(np.uint8 if depth == 8 else np.uint16)
