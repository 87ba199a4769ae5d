"""The thumbnails of a series as a volume: slices in their order, with spacing and positions, or why there is none."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from dicomprep.database.queries.stacks import READ, Slice, Stack, make_slice, make_stack
from dicomprep.errors import ExportError
from dicomprep.pixels.stacking import compute_affine, compute_shear, orient_as_drawn
from dicomprep.storage.base import ImageStore
from dicomprep.training.reading import read_thumbnail
from dicomprep.volumetric.records import read_series
from dicomprep.volumetric.volume import Volume
from dicomprep.workspace import Workspace

__all__ = ["stack_thumbnails"]


def stack_thumbnails(workspace: Workspace, series_key: str, *, only: Collection[str] | None = None) -> Volume:
    """Stack the thumbnails of a series, or those with the names `only`; ExportError where they make no volume."""
    recorded = read_series(workspace, series_key, READ)
    rows = [row for row in recorded.rows if only is None or row["filename"] in only]
    slices = [make_slice([row[name] for name in READ]) for row in rows]
    try:
        stack = make_stack(slices, recorded.failed, recorded.held)
    except ExportError as error:
        raise ExportError(f"The series {series_key} is not a volume: {error}.") from error
    return _stacked(workspace.images, stack)


def _stacked(images: ImageStore, stack: Stack) -> Volume:
    slices, orientation, origins = stack.slices, stack.orientation, stack.origins
    array = np.stack([read_thumbnail(images, one.path) for one in slices])
    filenames = tuple(one.filename for one in slices)
    spacing = _spacing(slices[0], stack.positions)
    affine = shear = None
    geometry = slices[0].transform.geometry
    drawn = None if orientation is None else orient_as_drawn(orientation, geometry)
    if origins is not None and orientation is not None and drawn is not None:
        shear = compute_shear(origins, drawn)
        affine = compute_affine(origins, orientation, slices[0].spacing, geometry)
    return Volume(array, stack.positions, spacing, drawn, filenames, origins, affine, shear)


def _spacing(one: Slice, positions: NDArray[np.float64] | None) -> tuple[float | None, float | None, float | None]:
    geometry = one.transform.geometry
    scale = np.divide(geometry.crop_shape, geometry.scaled_shape)
    between = float(np.diff(positions).mean()) if positions is not None and positions.size > 1 else None
    row, column = one.row_spacing, one.column_spacing
    return between, None if row is None else row * float(scale[0]), None if column is None else column * float(scale[1])
