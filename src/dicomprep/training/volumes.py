"""A series as a volume: slices in their order, with spacing and positions, or the reason why there is none."""

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dicomprep.config import DEFAULT_DB
from dicomprep.database.queries.frames import FailedFile, failed_files, failed_files_beside
from dicomprep.database.queries.series import series_frames
from dicomprep.database.queries.stacks import READ, Slice, make_slice, make_stack
from dicomprep.errors import ExportError
from dicomprep.pixels.stacking import compute_affine, compute_shear, orient_as_drawn
from dicomprep.storage.base import ImageStore
from dicomprep.training.reading import read_thumbnail
from dicomprep.workspace import Database, Workspace

__all__ = ["Volume", "volume"]


@dataclass(frozen=True, slots=True)
class Volume:
    """The thumbnails of a series, stacked."""

    array: NDArray[Any]
    """(slices, rows, columns) gray or (slices, rows, columns, 3) RGB, uint8 or uint16."""
    positions_mm: NDArray[np.float64] | None
    """(slices,) along the normal of the image plane, ascending; None where headers do not say."""
    spacing_mm: tuple[float | None, float | None, float | None]
    """From one slice, row and column of `array` to the next; None where headers do not say."""
    orientation: NDArray[np.float64] | None
    """(2, 3): direction cosines, in patient coordinates, of a step along a row of `array` and of one down a column."""
    filenames: tuple[str, ...]
    """The frame that each slice is."""
    origins_mm: NDArray[np.float64] | None = None
    """(slices, 3): Image Position (Patient) of each slice, where the middle of the first pixel of its source lies."""
    affine: NDArray[np.float64] | None = None
    """(4, 4): from (slice, row, column, 1) in `array`, whole numbers being middles of pixels, to x, y, z in mm towards
    the patient's left, back and head (LPS). It carries a shear. Of one slice, its first axis is the unit normal."""
    shear_mm: tuple[float, float] | None = None
    """How far each slice lies beyond the one before down a column and along a row, as with a tilted gantry; (0, 0)
    where slices lie straight behind each other."""


class _Read(NamedTuple):
    images: ImageStore
    slices: list[Slice]
    failed: list[FailedFile]
    held: list[str]
    """Names of slices that are held back."""
    unknown: list[FailedFile]
    """Failed files that may be of the series."""


def volume(series_key: str, *, db: Database = DEFAULT_DB) -> Volume:
    """Stack the slices of a series, named by its key in an export or by its Series Instance UID.

    They are ordered by their position along the normal of the image plane; where headers do not give it, by Instance
    Number and frame. Raises ExportError with the reason where they do not make one volume: no such series, files of it
    that failed, several slices at one place, missing slices, planes that are not parallel, origins that jump sideways,
    other shapes, spacings or windows, slices that are held back for probable text. What is hidden as a duplicate of
    a slice of another series, or of another place of this one, is a slice here. A failed file beside the slices of
    which nobody knows the series is warned of.

    Returns (slices, rows, columns[, 3]) uint8 or uint16, with positions and spacing in mm (PS3.3 C.7.6.2).
    """
    workspace = Workspace.of(db)
    images, slices, failed, held, unknown = _read_slices(workspace, series_key)
    if not slices and not failed and not held:
        raise ExportError(f"{workspace} contains no series {series_key}.")
    for path, _, code in () if failed else unknown:
        warnings.warn(
            f"{path} failed ({code}) and may be a slice of {series_key}: its header was not read.", stacklevel=2
        )
    try:
        stack = make_stack(slices, failed, held)
    except ExportError as error:
        raise ExportError(f"The series {series_key} is not a volume: {error}.") from error
    slices, orientation, positions, origins = stack.slices, stack.orientation, stack.positions, stack.origins
    array = np.stack([read_thumbnail(images, one.path) for one in slices])
    filenames = tuple(one.filename for one in slices)
    spacing = _spacing(slices[0], positions)
    affine = shear = None
    geometry = slices[0].transform.geometry
    drawn = None if orientation is None else orient_as_drawn(orientation, geometry)
    if origins is not None and orientation is not None and drawn is not None:
        shear = compute_shear(origins, drawn)
        affine = compute_affine(origins, orientation, slices[0].spacing, geometry)
    return Volume(array, positions, spacing, drawn, filenames, origins, affine, shear)


def _read_slices(workspace: Workspace, series_key: str) -> _Read:
    with workspace.reading() as connection:
        rows = [(held, make_slice(row)) for held, row in series_frames(connection, series_key, READ)]
        uids = {one.series_uid for _, one in rows if one.series_uid} or {series_key}
        failed = [file for uid in sorted(uids) for file in failed_files(connection, uid)]
        unknown = [file for uid in sorted(uids) for file in failed_files_beside(connection, uid)]
    held_ones = [one.filename for held, one in rows if held]
    return _Read(workspace.images, [one for held, one in rows if not held], failed, held_ones, unknown)


def _spacing(one: Slice, positions: NDArray[np.float64] | None) -> tuple[float | None, float | None, float | None]:
    geometry = one.transform.geometry
    scale = np.divide(geometry.crop_shape, geometry.scaled_shape)
    between = float(np.diff(positions).mean()) if positions is not None and positions.size > 1 else None
    row, column = one.row_spacing, one.column_spacing
    return between, None if row is None else row * float(scale[0]), None if column is None else column * float(scale[1])
