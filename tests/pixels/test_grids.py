"""Slices brought onto an even grid: what rises evenly in the patient is interpolated exactly, wherever they lie."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomprep.pixels.grids import Planes, compute_grid_affine, find_fault, straighten

SHAPE = (9, 7)


def value(points: np.ndarray) -> np.ndarray:
    return points @ np.array([3.0, -2.0, 5.0]) + 1000


def points_of(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]


def planes_of(seed: int, shear: tuple[float, float], missing: set[int]) -> Planes:
    """Up to eight slices, turned anyhow, 2 mm apart along their normal."""
    (row, column, _), _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    step = 2.0 * np.cross(row, column) + shear[0] * row + shear[1] * column
    origins = [[5.0, -60, 200] + number * step for number in range(8) if number not in missing]
    return Planes(np.array(origins), np.array([row, column]), (1.5, 1.25))


def draw(planes: Planes) -> np.ndarray:
    """Slices of SHAPE there."""
    rows, columns = np.indices(SHAPE)[..., None] * np.reshape(planes.spacing, (2, 1, 1, 1))
    within = rows * planes.orientation[1] + columns * planes.orientation[0]
    return np.stack([value(origin + within) for origin in planes.origins])


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    shear=st.tuples(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6)),
    missing=st.sets(st.integers(1, 6), max_size=3),
)
def test_straightened_slices_keep_their_values(seed: int, shear: tuple[float, float], missing: set[int]) -> None:
    planes = planes_of(seed, shear, missing)
    straight, even = straighten(draw(planes), planes)
    assert find_fault(even) is None
    mask = np.ones((len(planes.origins), *SHAPE))
    mask[0, 0, 0] = 0  # what no slice covers becomes the lowest value, 0
    covered = straighten(mask, planes)[0] > 0.9999
    assert covered.sum() > 0.2 * mask.sum()
    excess = np.abs(straight - value(points_of(compute_grid_affine(even, thickness=1.0), straight.shape)))
    assert excess[covered].max() < (0.4 if planes.is_straight else 1e-2)


def test_what_would_be_many_times_larger_is_refused() -> None:
    origins = np.array([[0, 0, 0], [0, 0, 1.0], [0, 0, 500]])
    planes = Planes(origins, np.eye(3)[:2], (1.0, 1.0))
    with pytest.raises(ValueError, match=r"501 slices of 9×7 pixels would be needed"):
        straighten(np.zeros((3, *SHAPE)), planes)
