"""`dicomprep.volume` and `dicomprep.volumes`: a series, or its parts, by thumbnails or by values of the sources."""

from collections.abc import Iterator, Sequence

from dicomprep.config import DEFAULT_DB
from dicomprep.dicom.quantities import Values
from dicomprep.errors import ConfigError, ExportError
from dicomprep.volumetric.display import stack_thumbnails
from dicomprep.volumetric.load import load_part
from dicomprep.volumetric.plan import Part, plan_series, recorded_parts
from dicomprep.volumetric.volume import Volume
from dicomprep.workspace import Database, Workspace

__all__ = ["volume", "volumes"]

DISPLAY = "display"


def volume(
    series_key: str,
    *,
    db: Database = DEFAULT_DB,
    values: str = DISPLAY,
    part: str | None = None,
    resample: bool = False,
) -> Volume:
    """Stack the slices of a series, named by its key in an export or by its Series Instance UID.

    `values` is `display` for the thumbnails; from the sources, at native resolution, `hu` for Hounsfield units, `suv`
    for standardized uptake values of PET, `rescaled` for modality values, or `auto` for what fits of these. `part`
    names a part of a series that has several, such as `b1000`. `resample` (not of thumbnails) interpolates tilted
    slices, gaps and uneven spacing onto an even grid, and takes the first of several slices at one place.

    Slices are ordered by their position along the normal of the image plane; where headers do not give it, by Instance
    Number and frame. Raises ExportError with the reason where they do not make one volume: no such series, files of it
    that failed, several parts (it names them) or slices at one place, missing slices, planes that are not parallel,
    origins that jump sideways, other shapes, spacings or, of thumbnails, windows; slices that are held back for
    probable text; values from the sources also where slices are tilted, values are not what was asked for, inputs of
    SUV are missing, or a source has changed. What is hidden as a duplicate of a slice of another series, or of another
    place of this one, is a slice here. A failed file beside the slices of which nobody knows the series is warned of.

    Returns (slices, rows, columns[, 3]) uint8 or uint16 of thumbnails, int16, int32 or float32 of sources, with
    positions and spacing in mm (PS3.3 C.7.6.2).
    """
    workspace = Workspace.of(db)
    _require_values(values)
    if values == DISPLAY:
        if resample:
            raise ConfigError('resample=True interpolates values of the sources: give values="auto", "hu" …')
        return _stack(workspace, series_key, part)
    return load_part(_find(workspace, series_key, part), values=values, resample=resample)


def volumes(
    series_key: str, *, db: Database = DEFAULT_DB, values: str = "auto", resample: bool = False
) -> Iterator[Volume]:
    """Each part of a series as `volume` gives it, one after the other; its `part` is the name.

    A part is what has one orientation, size and kind of image, one echo, b-value, direction, time and phase. Raises
    ExportError like `volume`, for the first part that is none.
    """
    workspace = Workspace.of(db)
    _require_values(values)
    for part in plan_series(workspace, series_key):
        if values == DISPLAY:
            yield stack_thumbnails(workspace, series_key, only={image.filename for image in part.images})
        else:
            yield load_part(part, values=values, resample=resample)


def _stack(workspace: Workspace, series_key: str, part: str | None) -> Volume:
    """Thumbnails; where several are at one place, the parts are named."""
    if part is not None:
        images = _find(workspace, series_key, part).images
        return stack_thumbnails(workspace, series_key, only={image.filename for image in images})
    try:
        return stack_thumbnails(workspace, series_key)
    except ExportError as error:
        parts = recorded_parts(workspace, series_key)
        if len(parts) < 2:
            raise
        raise ExportError(f"{error} Its parts, for part=: {', '.join(parts)}.") from error


def _require_values(values: str) -> None:
    choices = (DISPLAY, *Values)
    if values not in choices:
        raise ConfigError(f"values={values!r}: choose from {', '.join(choices)}.")


def _find(workspace: Workspace, series_key: str, name: str | None) -> Part:
    parts = plan_series(workspace, series_key)
    if name is None and len(parts) == 1:
        return parts[0]
    found = next((part for part in parts if part.name == name), None)
    if found is None:
        raise ExportError(_explain_parts(series_key, parts, name))
    return found


def _explain_parts(series_key: str, parts: Sequence[Part], name: str | None) -> str:
    names = ", ".join(part.name for part in parts)
    if name is None:
        return f"The series {series_key} is not one volume but {len(parts)}: give part= one of {names}."
    others = "it is not divided" if len(parts) == 1 else f"its parts are {names}"
    return f"The series {series_key} has no part {name}: {others}."
