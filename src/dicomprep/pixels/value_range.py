"""The range of values that is drawn where a file states no window: measured from its frames."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomprep.pixels.intensity import LookupTable, Rescale, ValueRange, Values, apply_modality
from dicomprep.pixels.resampling import resample

__all__ = ["RangeRule", "measure_range", "overview_shape"]

SCATTER = 2_654_435_761
"""A step that meets all rows and columns alike (Knuth's multiplicative hash)."""

VISIBLE = 0.04
"""Values that lie nearer to the padding than this share of all are not told from it."""

MIN_OVERVIEW_SIDE = 256
"""Rows and columns left by the means over areas on which a range is measured, where the image has as many."""


@dataclass(frozen=True, slots=True)
class RangeRule:
    """How a range is measured."""

    percentiles: tuple[float, float] = (0.5, 99.5)
    from_zero: bool = False
    """Zero is black, for values that are counts, doses or labels."""
    limits: tuple[float, float] = (-math.inf, math.inf)
    """Values beyond mean nothing and do not widen the range."""

    @property
    def is_extreme(self) -> bool:
        """The least and the greatest value count, so that every frame must be looked at."""
        return self.percentiles == (0, 100)

    def __str__(self) -> str:
        robust = not self.is_extreme
        if self.from_zero:
            return "robust, from zero" if robust else "zero to maximum"
        within = "" if math.isinf(self.limits[0]) else f" within {self.limits[0]:g} … {self.limits[1]:g}"
        return ("robust" if robust else "minimum to maximum") + within


def overview_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns, halved together as long as MIN_OVERVIEW_SIDE of both are left."""
    halvings = int(math.log2(max(1, min(shape) / MIN_OVERVIEW_SIDE)))
    return shape[0] >> halvings, shape[1] >> halvings


def measure_range(
    samples: Iterable[tuple[NDArray[Any], Rescale | LookupTable]],
    *,
    padding: tuple[int, int] | None,
    shape: tuple[int, int],
    rule: RangeRule,
    noise: int = 0,
) -> ValueRange:
    """Measure the range of modality values that the frames of one file share, by `rule`.

    `samples` are stored values, each (rows, columns), and their modality transforms. `shape` is the overview's:
    integers are averaged to it, so that noise does not widen the range and a frame that was decoded at a reduced
    resolution gives the same; the least and the greatest value are those of single pixels. `padding` (lowest and
    highest stored value) and values that are not finite take no part. `noise` is how far padding may lie from its value
    after lossy compression. Where nearly all values are the same, the range is from the least to the greatest.
    """
    parts, exact = [], padding
    for pixels, modality in samples:
        padding = exact and _widen(exact, pixels, noise)
        stored = _unpadded(pixels, padding) if rule.is_extreme else _overview(pixels, padding, shape)
        with np.errstate(over="ignore"):
            values = apply_modality(stored[np.isfinite(stored)], modality)
        values = np.clip(values[np.isfinite(values)], *rule.limits)
        parts.append(np.array([values.min(), values.max()]) if rule.is_extreme and values.size else values)
    values = np.concatenate(parts) if parts else np.empty(0)
    if values.size == 0:
        return ValueRange(0.0, 1.0, "there is nothing to measure")
    low, high = (float(v) for v in np.percentile(values, rule.percentiles, method="nearest"))
    least, greatest = float(values.min()), float(values.max())
    some = values[np.arange(min(4096, values.size)) * SCATTER % values.size]
    if low == high or len(np.unique(some)) <= 2:
        low, high, rule = least, greatest, replace(rule, percentiles=(0, 100))
    if rule.from_zero and high > 0:
        return ValueRange(0.0, high, str(rule))
    return ValueRange(low, high, str(replace(rule, from_zero=False)))


def _widen(padding: tuple[int, int], pixels: NDArray[Any], noise: int) -> tuple[int, int]:
    """Padding after lossy compression, as far as that is little of what the image has."""
    reach = min(noise, round(VISIBLE * int(np.ptp(pixels.astype(np.int64))))) if noise else 0
    return padding[0] - reach, padding[1] + reach


def _unpadded(pixels: NDArray[Any], padding: tuple[int, int] | None) -> Values:
    if padding is not None:
        pixels = pixels[(pixels < padding[0]) | (pixels > padding[1])]
    return pixels.astype(np.float64).ravel()


def _overview(pixels: NDArray[Any], padding: tuple[int, int] | None, shape: tuple[int, int]) -> Values:
    """Values to measure: means over areas, or, where some are no measurements, some of them as they are."""
    if padding is None and pixels.dtype.kind in "iu":
        block = max(1, round(pixels.shape[0] / shape[0]))
        rows, columns = (length // block for length in pixels.shape)
        whole = pixels[: rows * block, : columns * block]  # blocks without a rest are averaged many times faster
        wide = whole if whole.itemsize == 2 else whole.astype(np.float32 if whole.itemsize == 1 else np.float64)
        return resample(wide, shape=(rows, columns)).astype(np.float64).ravel()
    stride = max(1, round((pixels.size / 2**20) ** 0.5))
    return _unpadded(pixels[::stride, ::stride], padding)
