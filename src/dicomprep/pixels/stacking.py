"""Slice spacing, shear and affine of a stack: whether one step leads from each slice to the next."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dicomprep.pixels.geometry import Geometry, to_source

__all__ = [
    "compute_affine",
    "compute_shear",
    "find_breaks",
    "find_gaps",
    "find_odd_step",
    "fit_step",
    "is_even",
    "merge_channels",
    "orient_as_drawn",
]

GAP_TOLERANCE = 0.02
"""How much a step between slices may differ from the usual one, as a share of it."""

ROUNDING_MM = 0.0505
"""How far a position may lie from an even grid: some headers state tenths of a millimeter."""

MAX_ROUNDING_SHARE = 0.4
"""By how much of a step rounding may change one: less than half a slice, whatever the slices' distance."""

SHEAR_TOLERANCE = 1e-3
"""A shear of less than this share of a step is none: cosines are recorded to four decimals."""

MAX_SEARCH_STEPS = 80
"""Steps of the search for the best even grid."""


def is_even(points: NDArray[np.float64]) -> bool:
    """Whether one step leads from each of `points`, (n,) or (n, 3), to the next, but for rounding."""
    if len(points) < 3:
        return True
    columns = points.reshape(len(points), -1)
    deviations, length = _deviations(columns)
    if deviations.max() <= GAP_TOLERANCE * length + 1e-6:
        return True
    if deviations.max() > MAX_ROUNDING_SHARE * length:
        return False
    return all(_misfit(column) <= ROUNDING_MM for column in columns.T)


def find_odd_step(points: NDArray[np.float64]) -> tuple[int, float]:
    """Find the step between `points`, (n,) or (n, 3) in mm, least like the others: (which, the usual length)."""
    deviations, length = _deviations(points.reshape(len(points), -1))
    return int(deviations.argmax()), length


def _deviations(columns: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """How far each step is from the usual one, and how long that is. The lower median: of two gaps, the smaller."""
    steps = np.diff(columns, axis=0)
    usual = np.quantile(steps, 0.5, axis=0, method="lower")
    return np.abs(steps - usual).max(axis=1), float(np.linalg.norm(usual))


def _misfit(column: NDArray[np.float64]) -> float:
    """How far values lie at most from the even grid that fits them best; a convex function of its step."""
    steps, numbers = np.diff(column), np.arange(len(column))
    low, high = float(steps.min()), float(steps.max())
    for _ in range(MAX_SEARCH_STEPS):
        third = (high - low) / 3
        if np.ptp(column - numbers * (low + third)) < np.ptp(column - numbers * (high - third)):
            high -= third
        else:
            low += third
    return float(np.ptp(column - numbers * low)) / 2


def fit_step(origins: NDArray[np.float64], orientation: NDArray[np.float64]) -> NDArray[np.float64]:
    """From a slice to the next, as fits all origins best; the unit normal where there is one slice.

    `origins` are (slices, 3) in mm, `orientation` is (2, 3) direction cosines. Returns (3,) in mm.
    """
    if len(origins) == 1:
        return np.cross(*orientation)
    numbers = np.arange(len(origins)) - (len(origins) - 1) / 2
    return np.asarray(numbers @ origins / (numbers @ numbers), np.float64)


def orient_as_drawn(orientation: NDArray[np.float64], geometry: Geometry) -> NDArray[np.float64]:
    """Direction cosines of a row and a column of thumbnails, from those of their sources.

    `orientation` is (2, 3). Returns (2, 3) float64.
    """
    rows, columns = geometry.flipped
    return orientation * np.array([[-1.0 if columns else 1.0], [-1.0 if rows else 1.0]])


def compute_shear(origins: NDArray[np.float64], orientation: NDArray[np.float64]) -> tuple[float, float]:
    """How far a step goes down a column and along a row, in mm.

    `origins` are (slices, 3) in mm, `orientation` (2, 3) direction cosines of a row and a column (PS3.3 C.7.6.2.1.1).
    """
    step = fit_step(origins, orientation)
    along_row, down_column = (float(part) for part in orientation @ step)
    if max(abs(along_row), abs(down_column)) < SHEAR_TOLERANCE * float(np.linalg.norm(step)):
        return 0.0, 0.0
    return down_column, along_row


def compute_affine(
    origins: NDArray[np.float64],
    orientation: NDArray[np.float64],
    spacing: tuple[float, float] | None,
    geometry: Geometry,
) -> NDArray[np.float64] | None:
    """From (slice, row, column, 1) of thumbnails to the patient, in mm (LPS); None without a spacing of the pixels.

    `origins` are (slices, 3) in mm, `orientation` (2, 3) direction cosines, `spacing` that of rows and columns in mm. A
    step along a row is the first cosines times the spacing of columns (PS3.3 C.7.6.2.1.1). Returns (4, 4) float64.
    """
    if spacing is None:
        return None
    axes = np.stack([orientation[1] * spacing[0], orientation[0] * spacing[1]])
    first, below, beside = to_source([[0.5, 0.5], [1.5, 0.5], [0.5, 1.5]], geometry)
    affine = np.eye(4)
    affine[:3, 0] = fit_step(origins, orientation)
    affine[:3, 1] = (below - first) @ axes
    affine[:3, 2] = (beside - first) @ axes
    numbers = np.arange(len(origins))[:, np.newaxis]
    start = (origins - numbers * affine[:3, 0]).mean(axis=0)
    affine[:3, 3] = start + (first - 0.5) @ axes
    return affine


def find_gaps(positions: NDArray[np.float64]) -> tuple[float, int]:
    """(The usual step in mm, how many steps are longer) of ascending `positions`, (n,) in mm, at least two of them."""
    longer, usual = _longer(positions)
    return usual, int(np.count_nonzero(longer))


def find_breaks(positions: NDArray[np.float64], beside: NDArray[np.float64] | None) -> NDArray[np.bool_]:
    """Find the steps that lead across a gap, or sideways otherwise than most do.

    `positions`, (n,) in mm, ascend along the normal; `beside`, (n, 2) in mm, are the same points along rows and columns
    of the plane, if known. There are at least two. Returns one bool for each step, (steps,).
    """
    longer, usual = _longer(positions)
    if beside is None:
        return longer
    deviations, _ = _deviations(beside)
    return longer | (deviations > _tolerance(usual))


def _longer(positions: NDArray[np.float64]) -> tuple[NDArray[np.bool_], float]:
    deviations, usual = _deviations(positions.reshape(len(positions), -1))
    return (np.diff(positions) > usual) & (deviations > _tolerance(usual)), usual


def _tolerance(usual: float) -> float:
    """By how many mm a step may differ from the usual one."""
    return max(GAP_TOLERANCE * usual, min(2 * ROUNDING_MM, MAX_ROUNDING_SHARE * usual))


def merge_channels(images: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Interleave `images` (rows, columns) of one shape and dtype as channels. Returns (rows, columns, channels).

    >>> merge_channels([np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint8)])[0, 0].tolist()
    [0, 1]
    """
    return np.asarray(cv2.merge(images))  # numpy takes thirty times as long
