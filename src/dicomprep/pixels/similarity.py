"""Whether two pictures are the same: exactly, however they are wrapped, or as far as an eye would tell."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import xxhash
from numpy.typing import NDArray

from dicomprep.pixels.resampling import halve

__all__ = [
    "Overview",
    "digest_samples",
    "make_overview",
    "measure_content",
    "overview_halvings",
    "perceptual_hash",
    "similarity",
]

MIN_CONTRAST = 8 / 255
"""Share of an image's range between its brightest and its darkest part."""

MIN_CONTRAST_STEPS = 2
"""The same in stored values, where these are whole numbers."""

SMOOTHED = 1 / 256
"""Parts that differ by less than this share of the range are alike: noise is no picture."""

MIN_CONTENT = 0.025
"""With less a picture is blank, a mask or a test pattern: many patients may have the same.

Measured on public collections: CT, MR, X-ray and ultrasound 0.025 to 1.3, masks and color bars 0 to 0.02.
"""

COMPARED_NEIGHBORHOODS = 1024
"""Places, spread over a frame, in which stored values are compared with their neighbors."""

MIN_OVERVIEW_SIDE = 16
"""Rows and columns that halving leaves of a frame."""


@dataclass(frozen=True, slots=True)
class Overview:
    """A frame in small, the same whatever size, depth and window its thumbnail has."""

    pixels: NDArray[Any]
    """Stored values, (rows, columns[, 3]): means of blocks, or some of them where means say nothing."""
    content: float
    """How much there is in the frame, about in bytes a sample."""


def digest_samples(pixels: NDArray[Any], *, bits_stored: int) -> bytes:
    """Digest stored values and their shape by XXH3-128: 16 bytes, the same in any lossless transfer syntax.

    `pixels` is (rows, columns[, 3]) of any dtype; up to 8 `bits_stored`, wider integers count as bytes.
    """
    if bits_stored <= 8 and pixels.dtype.kind in "ui" and pixels.itemsize > 1:  # one writer's word is another's byte
        pixels = pixels.astype(f"{pixels.dtype.kind}1")
    state = xxhash.xxh3_128(np.ascontiguousarray(pixels).data)
    state.update(f"{pixels.shape}{pixels.dtype.str}".encode())
    return state.digest()


def overview_halvings(shape: tuple[int, ...]) -> int:
    """How often a frame of so many rows and columns is halved for its overview."""
    return int(math.log2(max(1, min(shape[:2]) / MIN_OVERVIEW_SIDE)))


def make_overview(pixels: NDArray[Any], *, content: float | None = None, times: int, averaged: bool = True) -> Overview:
    """Make the overview of a frame, for its perceptual hash.

    `pixels` is (rows, columns[, 3]) of stored values, which are halved so many `times`: `averaged`, or where means say
    nothing (palette indices) picked out. `content` is given where it is known. Returns an Overview of about (rows / 2ⁿ,
    columns / 2ⁿ[, 3]), with the dtype of `pixels`.
    """
    content = measure_content(pixels) if content is None else content
    if averaged and pixels.dtype.str[1:] in ("u1", "u2", "i2"):
        return Overview(halve(pixels, times=times), content)
    return Overview(pixels[:: 2**times, :: 2**times].copy(), content)


def measure_content(pixels: NDArray[Any]) -> float:
    """Measure how much there is in a frame, about in the bytes a sample that coding it takes.

    `pixels` is (rows, columns[, 3]) of stored values. That is the share of values that their neighbors do not predict
    (value above + value to the left − value between), times the bytes that tell the values apart: nothing in an even
    area, an edge or a ramp.

    >>> measure_content(np.arange(64).reshape(8, 8))
    0.0
    """
    rows, columns = pixels.shape[:2]
    if min(rows, columns) < 2:
        return 0.0
    places = _places(rows, columns)
    samples = pixels.reshape(rows * columns, -1).take(places, axis=0)
    wide = samples.astype(np.float64 if pixels.dtype.kind == "f" or pixels.itemsize > 2 else np.int32)
    values = wide[..., 0] if wide.shape[2] == 1 else wide.sum(axis=2)
    with np.errstate(invalid="ignore"):
        unforeseen = np.count_nonzero(values[0] - values[1] - values[2] + values[3])
    ordered = np.sort(values[0])
    distinct = 1 + np.count_nonzero(ordered[1:] != ordered[:-1])
    return float(unforeseen / places.shape[1] * math.log2(distinct) / 8)


@lru_cache(maxsize=8)
def _places(rows: int, columns: int) -> NDArray[np.intp]:
    """Neighborhoods of 2×2, (4, places): at random, lest a pattern's period is met, but always the same."""
    count = min(COMPARED_NEIGHBORHOODS, (rows - 1) * (columns - 1))
    draw = np.random.default_rng(0)
    corner = np.sort(draw.integers(0, rows - 1, count) * columns + draw.integers(0, columns - 1, count))
    return corner + np.array([[0], [1], [columns], [columns + 1]])


def perceptual_hash(overview: Overview, *, inverted: bool = False) -> int | None:
    """Hash what an overview looks like: 64 bits, signed, few of which differ between pictures that look the same.

    `overview` holds (rows, columns) of gray. Each bit says whether it gets brighter from one part to the next on the
    right (a difference hash: N. Krawetz, "Kind of Like That", 2013); `inverted` for MONOCHROME1. None for a picture
    with so little in it that another patient's may well be the same.
    """
    if overview.content < MIN_CONTENT:
        return None
    whole = overview.pixels.dtype.kind in "iu"
    seen = overview.pixels.astype(np.float32)
    if not whole:
        seen = np.nan_to_num(seen, nan=0.0, posinf=0.0, neginf=0.0)
    darkest, brightest, _, _ = cv2.minMaxLoc(seen)
    parts = cv2.resize(seen, (9, 8), interpolation=cv2.INTER_AREA)
    low, high, _, _ = cv2.minMaxLoc(parts)
    if high - low < max(MIN_CONTRAST * (brightest - darkest), MIN_CONTRAST_STEPS if whole else 0) or high == low:
        return None
    steps = parts[:, :-1] - parts[:, 1:] if inverted else parts[:, 1:] - parts[:, :-1]
    return int.from_bytes(np.packbits(steps > SMOOTHED * (high - low)).tobytes(), "big", signed=True)


def similarity(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Correlate two pictures in gray, reduced to 64 rows and columns: 1.0 for the same, 0.0 for unrelated ones.

    `one` and `other` are (rows, columns[, 3]), uint8 or uint16; their shapes and dtypes may differ.

    >>> ramp = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    >>> round(similarity(ramp, ramp[::-1]), 3)
    -1.0
    """
    first, second = (_small_gray(pixels) for pixels in (one, other))
    spread = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / spread if spread else 0.0


def _small_gray(pixels: NDArray[Any]) -> NDArray[np.float32]:
    small = cv2.resize(pixels, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
    grayscale = small if small.ndim == 2 else small.mean(axis=2)
    return grayscale - grayscale.mean()
