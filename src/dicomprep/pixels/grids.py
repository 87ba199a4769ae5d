"""The even grid that slices lie on, its affine, and slices brought onto one: tilted, unevenly spaced, or with gaps."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dicomprep.pixels.stacking import ROUNDING_MM, SHEAR_TOLERANCE, find_odd_step, fit_step, is_even

__all__ = ["GridFault", "Planes", "compute_grid_affine", "find_fault", "straighten"]

MAX_GROWTH = 8
"""Times that a resampled volume may be as large as its slices; bounds memory."""

Points = NDArray[np.float64]


class Planes(NamedTuple):
    """Where the slices of a volume lie, all parallel, ascending along their normal."""

    origins: Points
    """(slices, 3): the middle of the first pixel of each, in mm (LPS)."""
    orientation: Points
    """(2, 3): direction cosines of a row and of a column."""
    spacing: tuple[float, float]
    """Of rows and of columns in mm."""

    @property
    def normal(self) -> Points:
        """From slice to slice, were they straight behind each other. Returns (3,), a unit vector."""
        normal = np.cross(*self.orientation)
        return np.asarray(normal / np.linalg.norm(normal), np.float64)

    @property
    def positions(self) -> Points:
        """Along the normal. Returns (slices,) in mm."""
        return self.origins @ self.normal

    @property
    def offsets(self) -> Points:
        """How far each begins down a column and along a row. Returns (slices, 2) in mm."""
        axes = self.orientation[::-1]
        return np.asarray(self.origins @ axes.T @ np.linalg.inv(axes @ axes.T), np.float64)

    @property
    def is_straight(self) -> bool:
        """Whether all slices begin at one place of the plane, but for rounding."""
        drift = np.ptp(self.offsets, axis=0).max()
        return bool(drift <= max(2 * ROUNDING_MM, SHEAR_TOLERANCE * np.ptp(self.positions)))


class GridFault(NamedTuple):
    """Why slices lie on no even, straight grid."""

    reason: str
    at: int | None = None
    """The slice before the odd step, where it is one."""


def find_fault(planes: Planes) -> GridFault | None:
    """Why the slices are no even grid of right angles; None where they are, but for rounding of their positions."""
    if len(planes.origins) < 2:
        return None
    steps = np.diff(planes.positions)
    if not is_even(planes.positions):
        at, usual = find_odd_step(planes.positions)
        return GridFault(f"the slice spacing is {steps[at]:.2f} mm, elsewhere {usual:.2f} mm", at)
    if not is_even(planes.origins):
        return GridFault("Image Position jumps sideways", find_odd_step(planes.origins)[0])
    if not planes.is_straight:
        degrees = math.degrees(math.atan2(float(np.linalg.norm(np.ptp(planes.offsets, axis=0))), steps.sum()))
        return GridFault(f"the slices are tilted by {degrees:.1f} degrees against each other (gantry tilt)")
    return None


def compute_grid_affine(planes: Planes, *, thickness: float) -> NDArray[np.float64]:
    """From (slice, row, column, 1), whole numbers being middles of pixels, to the patient in mm (LPS).

    A step along a row is the first cosines times the spacing of columns (PS3.3 C.7.6.2.1.1); from slice to slice one
    that fits all origins best, of a single slice `thickness` along the normal. Returns (4, 4) float64.
    """
    count = len(planes.origins)
    affine = np.eye(4)
    affine[:3, 0] = fit_step(planes.origins, planes.orientation) if count > 1 else planes.normal * thickness
    affine[:3, 1] = planes.orientation[1] * planes.spacing[0]
    affine[:3, 2] = planes.orientation[0] * planes.spacing[1]
    affine[:3, 3] = (planes.origins - np.arange(count)[:, np.newaxis] * affine[:3, 0]).mean(axis=0)
    return affine


def straighten(slices: NDArray[Any], planes: Planes) -> tuple[NDArray[np.float32], Planes]:
    """Interpolate `slices`, (slices, rows, columns), onto an even grid of right angles that begins and ends with them.

    Linear, from the two slices around each new one, and in their planes where they begin at different places: so no
    value lies outside of those around it. The plane grows so that no pixel is lost; what no slice covers is the lowest
    value. `planes` have origins (slices, 3). Returns (slices, rows, columns) float32 and where they lie. ValueError
    where that is many times larger.
    """
    positions = planes.positions
    usual = find_odd_step(positions)[1]
    count = round(float(np.ptp(positions)) / usual) + 1
    shifts, shape = _shifts(planes, slices.shape[1:])
    if count * shape[0] * shape[1] > MAX_GROWTH * slices.size:
        raise ValueError(f"{count} slices of {shape[0]}×{shape[1]} pixels would be needed")
    wanted = np.linspace(positions[0], positions[-1], count)
    fill = float(slices.min())
    straight = np.empty((count, *shape), np.float32)
    for number, (below, weight) in enumerate(_around(positions, wanted)):
        plane = (1 - weight) * _shifted(slices[below], shifts[below], shape, fill) if weight < 1 else 0.0
        if weight > 0:
            plane = plane + weight * _shifted(slices[below + 1], shifts[below + 1], shape, fill)
        straight[number] = plane
    begin = planes.offsets.mean(axis=0) if planes.is_straight else planes.offsets.min(axis=0)
    origins = wanted[:, np.newaxis] * planes.normal + begin @ planes.orientation[::-1]
    return straight, planes._replace(origins=origins)


def _shifts(planes: Planes, shape: tuple[int, ...]) -> tuple[Points, tuple[int, int]]:
    """How many rows and columns after the new corner each slice begins, and the shape that holds all of them."""
    shifts = (planes.offsets - planes.offsets.min(axis=0)) / planes.spacing
    if planes.is_straight:
        shifts = np.zeros_like(shifts)
    rows, columns = (int(size + math.ceil(extra - 1e-6)) for size, extra in zip(shape, shifts.max(axis=0), strict=True))
    return shifts, (rows, columns)


def _around(positions: Points, wanted: Points) -> list[tuple[int, float]]:
    """For each new position the slice before it, and the share of the one after."""
    last = len(positions) - 2
    below = np.clip(np.searchsorted(positions, wanted, side="right") - 1, 0, last)
    weights = np.clip((wanted - positions[below]) / (positions[below + 1] - positions[below]), 0, 1)
    weights = np.where(np.abs(weights - np.rint(weights)) < 1e-6, np.rint(weights), weights)
    return list(zip(below.tolist(), weights.tolist(), strict=True))


def _shifted(plane: NDArray[Any], shift: Points, shape: tuple[int, int], fill: float) -> NDArray[np.float64]:
    """A slice on a larger plane, moved by (rows, columns), also by parts of a pixel."""
    moved = plane.astype(np.float64)
    for axis in (0, 1):
        moved = _moved(moved, float(shift[axis]), shape[axis], axis=axis, fill=fill)
    return moved


def _moved(plane: NDArray[np.float64], shift: float, size: int, *, axis: int, fill: float) -> NDArray[np.float64]:
    whole = math.floor(shift + 1e-6)
    part = max(0.0, shift - whole)
    before = [(0, 0), (0, 0)]
    before[axis] = (whole, size - plane.shape[axis] - whole)
    placed = np.pad(plane, before, constant_values=fill)
    if part < 1e-6:
        return placed
    neighbor = np.roll(placed, 1, axis=axis)
    np.moveaxis(neighbor, axis, 0)[0] = fill
    return np.asarray((1 - part) * placed + part * neighbor, np.float64)
