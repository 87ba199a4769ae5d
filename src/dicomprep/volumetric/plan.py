"""The parts of a series, from what is recorded of it; headers are read where that does not tell images apart."""

import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dicomprep.database.queries.stacks import require_complete
from dicomprep.dicom.dividers import DIVIDER_KEYWORDS, read_dividers
from dicomprep.dicom.grayscale import FrameAttributes
from dicomprep.dicom.header import read_header
from dicomprep.dicom.nuclear import NUCLEAR_KEYWORDS, find_nuclear_place, read_nuclear_dividers
from dicomprep.dicom.numbers import read_numbers
from dicomprep.dicom.positions import find_place, read_plane
from dicomprep.dicom.spacing import read_spacing
from dicomprep.errors import ExportError
from dicomprep.pixels.transform import Transform
from dicomprep.storage.source import SourceFile
from dicomprep.volumetric.division import ImageOfSeries, divide, is_doubled
from dicomprep.volumetric.records import RecordedSeries, SourceRecord, read_series
from dicomprep.volumetric.sources import MAX_FILE_BYTES, read_sources
from dicomprep.workspace import Workspace

__all__ = ["Part", "plan_series", "read_place", "recorded_parts"]

_NUMBERS = ("echo_time_ms", "inversion_time_ms", "temporal_position", "cardiac_phase_percent", "trigger_time_ms")
_DIVIDING = ("image_type", "kernel", *_NUMBERS, "acquisition_number")
_COLUMNS = (
    *("file_id", "frame_number", "instance_number", "name", "frame_count", "transform", "b_values", *_DIVIDING),
    *("row_spacing_mm", "column_spacing_mm", "image_orientation", "image_position"),
)


@dataclass(frozen=True, slots=True)
class Part:
    """What makes one volume of a series; goes along to other processes."""

    series_key: str
    name: str
    """`axial_echo2`; empty where the series is not divided."""
    images: tuple[ImageOfSeries, ...]
    sources: Mapping[int, SourceRecord]
    """By the number that images name their file by."""

    def __str__(self) -> str:
        return f"the series {self.series_key}" + (f", part {self.name}" if self.name else "")


def plan_series(workspace: Workspace, series_key: str) -> tuple[Part, ...]:
    """The parts of a series, named by its key or Series Instance UID.

    Multi-frame files are looked into, and all their frames taken, whatever `--frames` was. Raises ExportError where
    files of the series failed, images are held back, or a source cannot be read.
    """
    recorded = read_series(workspace, series_key, _COLUMNS, with_sources=True)
    try:
        require_complete(recorded.failed, recorded.held)
    except ExportError as error:
        raise ExportError(f"The series {series_key} is not a volume: {error}.") from error
    images = _images(recorded)
    parts = divide(images)
    if any(is_doubled(members) for _, members in parts):
        images = _with_headers(images, recorded.sources)
        parts = divide(images)
    sources = recorded.sources
    return tuple(Part(series_key, name, tuple(members), _of_files(sources, members)) for name, members in parts)


def recorded_parts(workspace: Workspace, series_key: str) -> list[str]:
    """The names of the parts, as far as records tell them apart: none where that needs a header. Nothing is opened."""
    try:
        with warnings.catch_warnings(action="ignore"):  # whoever asks has been warned
            rows = read_series(workspace, series_key, _COLUMNS).rows
    except ExportError:  # there is no such series
        return []
    if not rows or any(row["frame_count"] > 1 for row in rows):
        return []
    parts = divide(list(map(_image, rows)))
    return [] if any(is_doubled(members) for _, members in parts) else [name for name, _ in parts]


def _of_files(sources: Mapping[int, SourceRecord], images: Sequence[ImageOfSeries]) -> dict[int, SourceRecord]:
    return {number: sources[number] for number in dict.fromkeys(image.file for image in images)}


def _images(recorded: RecordedSeries) -> list[ImageOfSeries]:
    images: list[ImageOfSeries] = []
    several = defaultdict[int, list[dict[str, Any]]](list)
    for row in recorded.rows:
        if row["frame_count"] > 1:
            several[row["file_id"]].append(row)
        else:
            images.append(_image(row))

    def read(number: int, file: SourceFile) -> None:
        images.extend(_frames(number, file, several[number]))

    read_sources({number: recorded.sources[number] for number in several}, read)
    return images


def _image(row: Mapping[str, Any]) -> ImageOfSeries:
    """Of a file that has one, as it is recorded."""
    b_values = _numbers(row["b_values"])
    spacing = (row["row_spacing_mm"], row["column_spacing_mm"])
    return ImageOfSeries(
        file=row["file_id"],
        frame=row["frame_number"],
        filename=row["filename"],
        shape=Transform.from_json(row["transform"]).geometry.source_shape,
        spacing=None if None in spacing else spacing,
        cosines=_numbers(row["image_orientation"]),
        origin=_numbers(row["image_position"]),
        instance=row["instance_number"],
        said={name: row[name] for name in _DIVIDING} | {"b_value": b_values[0] if b_values else None},
    )


def _numbers(text: str | None) -> tuple[float, ...] | None:
    return None if text is None else tuple(map(float, text.split("\\")))


def _frames(number: int, file: SourceFile, rows: Sequence[Mapping[str, Any]]) -> Iterator[ImageOfSeries]:
    """All of a file that has several, as its header has them."""
    keywords = (*DIVIDER_KEYWORDS, *NUCLEAR_KEYWORDS)
    root = read_header(file, max_bytes=MAX_FILE_BYTES, extra=keywords).attributes
    first, names = rows[0], {row["frame_number"]: row["filename"] for row in rows}
    shape, count = Transform.from_json(first["transform"]).geometry.source_shape, first["frame_count"]
    for index in range(count):
        frame = FrameAttributes(root, index)
        cosines, origin, spacing = read_place(frame, index=index, count=count)
        name = names.get(index, f"{first['name']}_frame{index:04d}")
        said = read_dividers(root, frame) | read_nuclear_dividers(root, index)
        yield ImageOfSeries(number, index, name, shape, spacing, cosines, origin, first["instance_number"], said)


def read_place(
    frame: FrameAttributes, *, index: int, count: int
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None, tuple[float, float] | None]:
    """Direction cosines, position of the first pixel and spacing of rows and columns of a frame, unrounded."""
    spacing, _ = read_spacing(frame)
    known = None if spacing is None or not spacing.is_in_mm else (spacing.rows, spacing.columns)
    point, raw = find_place(frame.root, frame, index=index, count=count)
    if len(point) != 3 and (nuclear := find_nuclear_place(frame.root, index)) is not None:
        return (*nuclear, known)
    cosines = read_numbers(raw) if read_plane(raw)[1] is not None else None
    return cosines, point if len(point) == 3 else None, known


def _with_headers(images: Sequence[ImageOfSeries], sources: Mapping[int, SourceRecord]) -> list[ImageOfSeries]:
    """With what headers say beyond the records; frames of a file have it already."""
    found = [image for image in images if "time" in image.said]
    single = {image.file: image for image in images if "time" not in image.said}

    def read(number: int, file: SourceFile) -> None:
        root = read_header(file, max_bytes=MAX_FILE_BYTES, extra=DIVIDER_KEYWORDS).attributes
        found.append(single[number]._replace(said=read_dividers(root, FrameAttributes(root, 0))))

    read_sources({number: sources[number] for number in single}, read)
    return found
