"""The slices of a series in their order, or the reason why they make no volume: one verdict for all who ask."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dicomprep.database.queries.frames import POSITIONS, FailedFile
from dicomprep.errors import ExportError
from dicomprep.pixels.stacking import find_odd_step, is_even
from dicomprep.pixels.transform import GrayscaleRecord, Transform

__all__ = ["READ", "NotAVolumeError", "Slice", "Stack", "make_slice", "make_stack", "require_complete"]

TILT_TOLERANCE = 1e-3
"""How much a direction cosine may differ from slice to slice: 0.06 degrees."""

_OWN = ("filename", "thumbnail_path", "frame_number", "instance_number", "transform")
DIVIDERS = ("echo_time_ms", "acquisition_number", "repetition_time_ms", "image_type", "instance_number")
"""What may tell apart slices at one place."""
PLACES = (*POSITIONS, "image_position", "row_spacing_mm", "column_spacing_mm", "series_instance_uid", *DIVIDERS[:-1])
READ = (*_OWN, *PLACES)
"""What of a frame is read for it."""


class NotAVolumeError(ExportError):
    """Why slices make no volume; `reason` says it without the names of images and files."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Slice(NamedTuple):
    """One image of a series, as far as stacking needs it."""

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


@dataclass(frozen=True, slots=True)
class Stack:
    """Slices that make a volume."""

    slices: list[Slice]
    orientation: NDArray[np.float64] | None
    """(2, 3) direction cosines."""
    positions: NDArray[np.float64] | None
    """(slices,) in mm along the normal, ascending."""
    origins: NDArray[np.float64] | None
    """(slices, 3) in mm."""


def make_stack(slices: Sequence[Slice], failed: Sequence[FailedFile], held: Sequence[str]) -> Stack:
    """Stack the slices of a series; NotAVolumeError with the reason where they are no volume.

    `failed` are files of it of which no image could be made, `held` the names of images that are held back.
    """
    require_complete(failed, held)
    orientation = _orientation(slices)
    ordered = _in_order(slices)
    _require_alike(ordered)
    return Stack(ordered, orientation, _positions(ordered), _origins(ordered))


def make_slice(row: Sequence[Any]) -> Slice:
    """Of the columns of READ."""
    head, rest = row[: len(_OWN)], row[len(_OWN) :]
    filename, path, frame_number, instance_number, transform = head
    told = len(PLACES) - len(DIVIDERS) + 1
    places = (*rest[:told], (*rest[told:], instance_number))
    return Slice(filename, path, frame_number, instance_number, _transform(transform), *places)


@lru_cache(maxsize=1024)
def _transform(text: str) -> Transform:
    """Kept, for the slices of a series have the same."""
    return Transform.from_json(text)


def require_complete(failed: Sequence[FailedFile], held: Sequence[str]) -> None:
    """NotAVolumeError where files failed or images are held back: a shorter stack would pass for the whole of it."""
    if failed:
        path, number, code = failed[0]
        named = path if number is None else f"{path} (Instance Number {number})"
        more = f" and {len(failed) - 1} more of its files" if len(failed) > 1 else ""
        raise NotAVolumeError(
            "a file of it failed",
            f"{named}{more} failed{f': {code}' if code else ''}",
        )
    _require_released(held)


def _require_released(held: Sequence[str]) -> None:
    if held:
        more = f" and {len(held) - 1} more of its images" if len(held) > 1 else ""
        verb = "are" if len(held) > 1 else "is"
        look = "`dicomprep release` lists the images to review"
        raise NotAVolumeError(
            "images are held back for suspected burned-in text",
            f"{held[0]}{more} {verb} held back for suspected burned-in text: {look}",
        )


def _in_order(slices: Sequence[Slice]) -> list[Slice]:
    positions = [one.position for one in slices if one.position is not None]
    if positions and len(positions) < len(slices):
        raise NotAVolumeError(
            "some slices have no position",
            f"{len(slices) - len(positions)} of {len(slices)} slices have no position",
        )
    if positions:
        return sorted(slices, key=lambda one: one.position or 0.0)
    places = Counter((one.instance_number, one.frame_number) for one in slices)
    (instance, frame), most = places.most_common(1)[0]
    if most > 1:
        raise NotAVolumeError(
            "several slices have one Instance Number and no position",
            f"{most} slices have Instance Number {instance} and frame {frame}, and none has a position",
        )
    if len(slices) > 1 and any(one.instance_number is None for one in slices) and _files(slices) > 1:
        reason = "slices have neither a position nor an Instance Number"
        raise NotAVolumeError(reason, reason)
    return sorted(slices, key=lambda one: (one.instance_number or 0, one.frame_number))


def _files(slices: Sequence[Slice]) -> int:
    return sum(one.frame_number == slices[0].frame_number for one in slices)


def _orientation(slices: Sequence[Slice]) -> NDArray[np.float64] | None:
    """That of all slices; None where no header says it. Positions along different normals cannot be compared."""
    stated = [one for one in slices if one.orientation is not None]
    cosines = [np.array((one.orientation or "").split("\\"), np.float64).reshape(2, 3) for one in stated]
    for one, other in zip(stated, cosines, strict=True):
        if np.abs(other - cosines[0]).max() > TILT_TOLERANCE:
            planes = f"{stated[0].filename} ({stated[0].orientation}) and {one.filename} ({one.orientation})"
            raise NotAVolumeError(
                "slices differ in orientation",
                f"{planes} differ in orientation",
            )
    return cosines[0] if cosines else None


def _require_alike(slices: Sequence[Slice]) -> None:
    first = slices[0]
    for one in slices[1:]:
        if one.transform is first.transform and one.spacing == first.spacing:
            continue
        for what, mine, other in (
            ("shape", _geometry(first), _geometry(one)),
            ("spacing", (first.row_spacing, first.column_spacing), (one.row_spacing, one.column_spacing)),
            ("window", _window(first), _window(one)),
        ):
            if mine != other:
                remedy = "; preprocess with --window CENTER/WIDTH" if what == "window" else ""
                raise NotAVolumeError(
                    f"slices differ in {what}",
                    f"{first.filename} and {one.filename} differ in {what}: {mine}, {other}{remedy}",
                )


def _geometry(one: Slice) -> str:
    geometry = one.transform.geometry
    (rows, columns), (top, left) = geometry.source_shape, geometry.offset
    height, width = geometry.canvas_shape
    canvas = f"{height}" if height == width else f"{height}×{width}"
    crop, (down, right) = geometry.crop_shape, geometry.crop_origin
    cut = f", of them {crop[0]}×{crop[1]} from row {down}, column {right}" if crop != geometry.source_shape else ""
    turns = [
        f", {what} reversed" for what, flipped in zip(("rows", "columns"), geometry.flipped, strict=True) if flipped
    ]
    return f"{rows}×{columns} pixels{cut} at row {top}, column {left} of {canvas}{''.join(turns)}"


def _window(one: Slice) -> str:
    """How values of the modality become grays; how stored values become those may differ, as it does in PET."""
    intensity = one.transform.intensity
    rules = [_describe_voi(channel) for channel in intensity.channels]
    palette = [] if intensity.palette is None else [f"a palette of {intensity.palette.entries} entries"]
    return " and ".join((*rules, *palette)) or "color"


def _describe_voi(channel: GrayscaleRecord) -> str:
    values = ", ".join(f"{name} {value}" for name, value in asdict(channel.voi).items())
    return f"({values}{', inverted' if channel.inverted else ''})"


def _positions(slices: Sequence[Slice]) -> NDArray[np.float64] | None:
    if slices[0].position is None:
        return None
    positions = np.array([one.position for one in slices], np.float64)
    gaps = np.diff(positions)
    if gaps.size and gaps.min() < 1e-3:
        at = int(gaps.argmin())
        two = f"{slices[at].filename} and {slices[at + 1].filename}"
        divided = _what_divides(slices[at], slices[at + 1])
        raise NotAVolumeError(
            f"slices have the same position{divided}",
            f"{two} have the same position{divided}",
        )
    if gaps.size and not is_even(positions):
        at, usual = find_odd_step(positions)
        where = f"between {slices[at].filename} and {slices[at + 1].filename}"
        raise NotAVolumeError(
            "the slice spacing is uneven",
            f"the slice spacing {where} is {gaps[at]:.2f} mm, elsewhere {usual:.2f} mm",
        )
    return positions


def _what_divides(one: Slice, other: Slice) -> str:
    if one.temporal_position != other.temporal_position:
        return f" (several time points: {one.temporal_position}, {other.temporal_position})"
    pairs = zip(DIVIDERS, one.dividers, other.dividers, strict=True)
    divided = [f"{name} {mine} and {its}" for name, mine, its in pairs if mine != its]
    return f" (they differ in {divided[0]})" if divided else ""


def _origins(slices: Sequence[Slice]) -> NDArray[np.float64] | None:
    """Where the slices begin, if all say it and one step leads from each to the next."""
    if any(one.origin is None or one.position is None for one in slices):
        return None
    origins = np.array([(one.origin or "").split("\\") for one in slices], np.float64)
    if len(slices) > 2 and not is_even(origins):
        at, _ = find_odd_step(origins)
        step, usual = np.diff(origins, axis=0)[at], np.median(np.diff(origins, axis=0), axis=0)
        two = f"{slices[at].filename} to {slices[at + 1].filename}"
        raise NotAVolumeError(
            "Image Position jumps sideways",
            f"from {two} Image Position moves by {_said(step)} mm, elsewhere by {_said(usual)} mm",
        )
    return origins


def _said(step: NDArray[np.float64]) -> str:
    return ", ".join(f"{round(float(part), 2) + 0.0:g}" for part in step)
