"""A series as a volume: slices in their order, with spacing and positions, or the reason why there is none."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dicomprep.config import DEFAULT_DB
from dicomprep.database.queries.frames import POSITIONS, FailedFile, failed_files, failed_files_beside
from dicomprep.database.queries.series import series_frames
from dicomprep.errors import ExportError
from dicomprep.pixels.transform import GrayscaleRecord, Transform
from dicomprep.storage.base import ImageStore
from dicomprep.training.reading import read_thumbnail
from dicomprep.training.stacking import compute_affine, compute_shear, find_odd_step, is_even
from dicomprep.workspace import Database, Workspace

__all__ = ["Volume", "volume"]

TILT_TOLERANCE = 1e-3
"""How much a direction cosine may differ from slice to slice: 0.06 degrees."""

READ = ("filename", "thumbnail_path", "frame_number", "instance_number", "transform")
DIVIDERS = ("echo_time_ms", "acquisition_number", "repetition_time_ms", "image_type", "instance_number")
"""What may tell apart slices at one place."""
PLACES = (*POSITIONS, "image_position", "row_spacing_mm", "column_spacing_mm", "series_instance_uid", *DIVIDERS[:-1])


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


class _Slice(NamedTuple):
    filename: str
    path: str
    frame_number: int
    instance_number: int | None
    transform: Transform
    position: float | None
    orientation: str | None
    stack_position: int | None
    temporal_position: int | None
    origin: str | None
    row_spacing: float | None
    column_spacing: float | None
    series_uid: str | None
    dividers: tuple[object, ...]

    @property
    def spacing(self) -> tuple[float, float] | None:
        """Of rows and columns of the source."""
        return (
            None if self.row_spacing is None or self.column_spacing is None else (self.row_spacing, self.column_spacing)
        )


class _Read(NamedTuple):
    images: ImageStore
    slices: list[_Slice]
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
    try:
        _require_complete(failed)
        for path, _, code in unknown:
            warnings.warn(
                f"{path} failed ({code}) and may be a slice of {series_key}: its header was not read.", stacklevel=2
            )
        _require_released(held)
        orientation = _orientation(slices)
        slices = _in_order(slices)
        _require_alike(slices)
        positions = _positions(slices)
        origins = _origins(slices)
    except ExportError as error:
        raise ExportError(f"The series {series_key} is not a volume: {error}.") from error
    array = np.stack([read_thumbnail(images, one.path) for one in slices])
    filenames = tuple(one.filename for one in slices)
    spacing = _spacing(slices[0], positions)
    affine = shear = None
    if origins is not None and orientation is not None:
        shear = compute_shear(origins, orientation)
        affine = compute_affine(origins, orientation, slices[0].spacing, slices[0].transform.geometry)
    return Volume(array, positions, spacing, orientation, filenames, origins, affine, shear)


def _read_slices(workspace: Workspace, series_key: str) -> _Read:
    with workspace.reading() as connection:
        rows = [(held, _slice(row)) for held, row in series_frames(connection, series_key, [*READ, *PLACES])]
        uids = {one.series_uid for _, one in rows if one.series_uid} or {series_key}
        failed = [file for uid in sorted(uids) for file in failed_files(connection, uid)]
        unknown = [file for uid in sorted(uids) for file in failed_files_beside(connection, uid)]
    held_ones = [one.filename for held, one in rows if held]
    return _Read(workspace.images, [one for held, one in rows if not held], failed, held_ones, unknown)


def _slice(row: Sequence[Any]) -> _Slice:
    head, rest = row[: len(READ)], row[len(READ) :]
    filename, path, frame_number, instance_number, transform = head
    told = len(PLACES) - len(DIVIDERS) + 1
    places = (*rest[:told], (*rest[told:], instance_number))
    return _Slice(filename, path, frame_number, instance_number, Transform.from_json(transform), *places)


def _require_complete(failed: Sequence[tuple[str, int | None, str | None]]) -> None:
    """A shorter stack would pass for the whole of it."""
    if failed:
        path, number, code = failed[0]
        named = path if number is None else f"{path} (Instance Number {number})"
        more = f" and {len(failed) - 1} more of its files" if len(failed) > 1 else ""
        raise ExportError(f"{named}{more} failed{f': {code}' if code else ''}")


def _require_released(held: Sequence[str]) -> None:
    if held:
        more = f" and {len(held) - 1} more of its images" if len(held) > 1 else ""
        verb = "are" if len(held) > 1 else "is"
        look = "`dicomprep release` lists the images to review"
        raise ExportError(f"{held[0]}{more} {verb} held back for suspected burned-in text: {look}")


def _in_order(slices: Sequence[_Slice]) -> list[_Slice]:
    positions = [one.position for one in slices if one.position is not None]
    if positions and len(positions) < len(slices):
        raise ExportError(f"{len(slices) - len(positions)} of {len(slices)} slices have no position")
    if positions:
        return sorted(slices, key=lambda one: one.position or 0.0)
    places = Counter((one.instance_number, one.frame_number) for one in slices)
    (instance, frame), most = places.most_common(1)[0]
    if most > 1:
        raise ExportError(f"{most} slices have Instance Number {instance} and frame {frame}, and none has a position")
    if len(slices) > 1 and any(one.instance_number is None for one in slices) and _files(slices) > 1:
        raise ExportError("slices have neither a position nor an Instance Number")
    return sorted(slices, key=lambda one: (one.instance_number or 0, one.frame_number))


def _files(slices: Sequence[_Slice]) -> int:
    return sum(one.frame_number == slices[0].frame_number for one in slices)


def _orientation(slices: Sequence[_Slice]) -> NDArray[np.float64] | None:
    """That of all slices; None where no header says it. Positions along different normals cannot be compared."""
    stated = [one for one in slices if one.orientation is not None]
    cosines = [np.array((one.orientation or "").split("\\"), np.float64).reshape(2, 3) for one in stated]
    for one, other in zip(stated, cosines, strict=True):
        if np.abs(other - cosines[0]).max() > TILT_TOLERANCE:
            planes = f"{stated[0].filename} ({stated[0].orientation}) and {one.filename} ({one.orientation})"
            raise ExportError(f"{planes} differ in orientation")
    return cosines[0] if cosines else None


def _require_alike(slices: Sequence[_Slice]) -> None:
    first = slices[0]
    for one in slices[1:]:
        for what, mine, other in (
            ("shape", _geometry(first), _geometry(one)),
            ("spacing", (first.row_spacing, first.column_spacing), (one.row_spacing, one.column_spacing)),
            ("window", _window(first), _window(one)),
        ):
            if mine != other:
                remedy = "; preprocess with --window CENTER/WIDTH" if what == "window" else ""
                raise ExportError(f"{first.filename} and {one.filename} differ in {what}: {mine}, {other}{remedy}")


def _geometry(one: _Slice) -> str:
    geometry = one.transform.geometry
    (rows, columns), (top, left) = geometry.source_shape, geometry.offset
    return f"{rows}×{columns} pixels at row {top}, column {left} of {geometry.size}"


def _window(one: _Slice) -> str:
    """How values of the modality become grays; how stored values become those may differ, as it does in PET."""
    intensity = one.transform.intensity
    rules = [_describe_voi(channel) for channel in intensity.channels]
    palette = [] if intensity.palette is None else [f"a palette of {intensity.palette.entries} entries"]
    return " and ".join((*rules, *palette)) or "color"


def _describe_voi(channel: GrayscaleRecord) -> str:
    values = ", ".join(f"{name} {value}" for name, value in asdict(channel.voi).items())
    return f"({values}{', inverted' if channel.inverted else ''})"


def _positions(slices: Sequence[_Slice]) -> NDArray[np.float64] | None:
    if slices[0].position is None:
        return None
    positions = np.array([one.position for one in slices], np.float64)
    gaps = np.diff(positions)
    if gaps.size and gaps.min() < 1e-3:
        at = int(gaps.argmin())
        two = f"{slices[at].filename} and {slices[at + 1].filename}"
        raise ExportError(f"{two} have the same position{_what_divides(slices[at], slices[at + 1])}")
    if gaps.size and not is_even(positions):
        at, usual = find_odd_step(positions)
        where = f"between {slices[at].filename} and {slices[at + 1].filename}"
        raise ExportError(f"the slice spacing {where} is {gaps[at]:.2f} mm, elsewhere {usual:.2f} mm")
    return positions


def _what_divides(one: _Slice, other: _Slice) -> str:
    if one.temporal_position != other.temporal_position:
        return f" (several time points: {one.temporal_position}, {other.temporal_position})"
    pairs = zip(DIVIDERS, one.dividers, other.dividers, strict=True)
    divided = [f"{name} {mine} and {its}" for name, mine, its in pairs if mine != its]
    return f" (they differ in {divided[0]})" if divided else ""


def _origins(slices: Sequence[_Slice]) -> NDArray[np.float64] | None:
    """Where the slices begin, if all say it and one step leads from each to the next."""
    if any(one.origin is None or one.position is None for one in slices):
        return None
    origins = np.array([(one.origin or "").split("\\") for one in slices], np.float64)
    if len(slices) > 2 and not is_even(origins):
        at, _ = find_odd_step(origins)
        step, usual = np.diff(origins, axis=0)[at], np.median(np.diff(origins, axis=0), axis=0)
        two = f"{slices[at].filename} to {slices[at + 1].filename}"
        raise ExportError(f"from {two} Image Position moves by {_said(step)} mm, elsewhere by {_said(usual)} mm")
    return origins


def _said(step: NDArray[np.float64]) -> str:
    return ", ".join(f"{round(float(part), 2) + 0.0:g}" for part in step)


def _spacing(one: _Slice, positions: NDArray[np.float64] | None) -> tuple[float | None, float | None, float | None]:
    geometry = one.transform.geometry
    scale = np.divide(geometry.crop_shape, geometry.scaled_shape)
    between = float(np.diff(positions).mean()) if positions is not None and positions.size > 1 else None
    row, column = one.row_spacing, one.column_spacing
    return between, None if row is None else row * float(scale[0]), None if column is None else column * float(scale[1])
