"""What the viewer runs through: the slices of an image's series in their order, and the series of its patient."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, or_, select

from dicomprep.database.page_schema import catalogue
from dicomprep.database.queries.slices import read_order
from dicomprep.database.schema import files, frames

__all__ = ["PatientSeries", "SliceStack", "StackSlice", "find_series_of_patient", "find_slices"]

MAX_SLICES = 4000
"""Slices of one stack, those nearest to the image; bounds the answer."""

MAX_SERIES = 60
"""Series of a patient that are listed; bounds the answer."""


class StackSlice(NamedTuple):
    """A frame that can be shown: by the image that it is asked of, and its number in the file of that."""

    id: int
    frame: int
    digest: str
    position_mm: float | None
    """Along the normal of its plane."""


@dataclass(frozen=True, slots=True)
class SliceStack:
    """The slices around an image."""

    slices: list[StackSlice]
    at: int
    """Which of them is the image."""
    space: str | None
    """Tells frames of reference apart; None where it is not stated."""
    orientation: str | None
    """Direction cosines of the image."""


@dataclass(frozen=True, slots=True)
class PatientSeries:
    """A series of a patient, or a cine."""

    id: int
    """Of its first image."""
    frame: int
    digest: str
    images: int
    is_own: bool
    """It is that of the image itself."""
    modality: str | None
    body_part: str | None
    plane: str | None
    view: str | None
    laterality: str | None
    study_key: str | None
    study_year: int | None


class _Frame(NamedTuple):
    id: int
    frame_number: int
    digest: bytes
    slice_position_mm: float | None
    image_orientation: str | None
    file_id: int
    frame_count: int
    series_key: str | None
    frame_of_reference_key: int | None


_FRAMES = select(*(frames.c[name] if name in frames.c else files.c[name] for name in _Frame._fields))
_FRAMES = _FRAMES.select_from(frames.join(files))


def find_slices(connection: Connection, frame_id: int) -> SliceStack | None:
    """The slices of the image's series in their order; of a cine its frames. None where there is no such image."""
    own = next(_read(connection, _FRAMES.where(frames.c.id == frame_id)), None)
    if own is None:
        return None
    of_file = list(_read(connection, _FRAMES.where(frames.c.file_id == own.file_id)))
    if own.frame_count > 1 and not _is_placed(of_file, own.frame_count):
        slices = _make_cine(own, of_file)
    else:
        slices = [_make_slice(row) for row in _find_series(connection, own)]
    at = next(n for n, one in enumerate(slices) if (one.id, one.frame) == (own.id, own.frame_number))
    start = max(0, min(at - MAX_SLICES // 2, len(slices) - MAX_SLICES))
    space = None if own.frame_of_reference_key is None else str(own.frame_of_reference_key)
    return SliceStack(slices[start : start + MAX_SLICES], at - start, space, own.image_orientation)


def find_series_of_patient(connection: Connection, frame_id: int) -> list[PatientSeries]:
    """What there is of the image's patient in the catalogue, by the first image of each series."""
    own = select(catalogue.c.group_id, catalogue.c.series).where(catalogue.c.frame_id == frame_id)
    group, series = connection.execute(own).one_or_none() or (None, None)
    first, images = func.min(catalogue.c.frame_id).label("first"), func.count().label("images")
    listed = select(first, images, (catalogue.c.series == series).label("is_own")).where(catalogue.c.group_id == group)
    found = listed.group_by(catalogue.c.series).order_by(first).limit(MAX_SERIES).subquery()
    said = ("modality", "body_part", "plane", "view_position", "laterality", "study_key", "study_year")
    columns = (frames.c.id, frames.c.frame_number, frames.c.digest, found.c.images, found.c.is_own)
    joined = frames.join(files).join(found, found.c.first == frames.c.id)
    statement = select(*columns, *(files.c[name] for name in said)).select_from(joined)
    return [
        PatientSeries(frame_id, number, bytes(digest).hex(), images, bool(is_own), *rest)
        for frame_id, number, digest, images, is_own, *rest in connection.execute(
            statement.order_by(files.c.study_year, files.c.study_key, frames.c.id)
        )
    ]


def _read(connection: Connection, statement: Select[Any]) -> Iterator[_Frame]:
    return (_Frame(*row) for row in connection.execute(statement))


def _is_placed(of_file: Sequence[_Frame], count: int) -> bool:
    """Whether all frames of a file are there, and lie somewhere in the patient."""
    return len(of_file) == count and all(row.slice_position_mm is not None for row in of_file)


def _make_cine(own: _Frame, of_file: Sequence[_Frame]) -> list[StackSlice]:
    """All frames of a file: those that are no images are asked of the one that was opened."""
    known = {row.frame_number: row for row in of_file} | {own.frame_number: own}
    return [_make_slice(known.get(number, own))._replace(frame=number) for number in range(own.frame_count)]


def _make_slice(row: _Frame) -> StackSlice:
    return StackSlice(row.id, row.frame_number, bytes(row.digest).hex(), row.slice_position_mm)


def _find_series(connection: Connection, own: _Frame) -> list[_Frame]:
    """The images of a series in its order, without what is hidden as a duplicate of another, and without cines."""
    if own.series_key is None:
        return [own]
    is_slice = or_(files.c.frame_count == 1, frames.c.slice_position_mm.is_not(None))
    shown = _FRAMES.where(files.c.series_key == own.series_key, is_slice, files.c.duplicate_of.is_(None))
    found = {row.id: row for row in _read(connection, shown)} | {own.id: own}
    order = next(read_order(connection, [own.series_key]), [])
    ordered = [found[placed.frame_id] for placed in order if placed.frame_id in found]
    return ordered if own in ordered else [own]  # it came a moment ago
