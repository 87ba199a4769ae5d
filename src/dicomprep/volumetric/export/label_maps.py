"""Label maps of volumes: what binary segmentations that were drawn on their slices say of each voxel."""

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from dicomprep.config import Fidelity, ImageOptions
from dicomprep.database.reference_schema import image_references
from dicomprep.database.schema import files
from dicomprep.errors import ExportError
from dicomprep.pipeline.stages.decode import DicomImage, decode
from dicomprep.privacy.references import ReferenceKind
from dicomprep.storage.source import SourceFile
from dicomprep.volumetric.division import ImageOfSeries
from dicomprep.volumetric.plan import Part, read_place
from dicomprep.volumetric.records import SourceRecord, read_series
from dicomprep.volumetric.sources import MAX_FILE_BYTES, read_sources
from dicomprep.volumetric.volume import Volume
from dicomprep.workspace import Workspace

__all__ = ["draw_label_map", "name_segments"]

SAME_PLACE_MM, SAME_COSINE = 0.05, 1e-3
"""How far a frame of a segmentation may lie from the slice that it was drawn on."""

MAX_PARAMETERS = 500
"""Values of one query."""

_WHOLE = ImageOptions(window="0/1", fidelity=Fidelity.EXACT)
_SAID = image_references.c


class _Drawn(NamedTuple):
    """A frame of a segmentation, and the slice that it was drawn on."""

    series_key: str
    file: int
    frame: int
    name: str
    slice: int


def name_segments(connection: Connection) -> tuple[str, ...]:
    """What segments of all segmentations show, in alphabetical order; the classes of label maps, from 1."""
    said = select(_SAID.meaning, _SAID.label).where(_SAID.kind == ReferenceKind.SEGMENT.value).distinct()
    return tuple(sorted({_name(meaning, label) for meaning, label in connection.execute(said)}))


def _name(meaning: str | None, label: str | None) -> str:
    return meaning or label or "segment"


def draw_label_map(workspace: Workspace, part: Part, volume: Volume, classes: Sequence[str]) -> Volume | None:
    """The numbers of classes (from 1; 0 is background) at each voxel of a volume; None without a segmentation of it.

    Binary segmentations count whose frames name the slice that they were drawn on, and lie where it does. Where
    segments overlap, the later class stays. Raises ExportError where one cannot be read.
    """
    if volume.notes:
        return None  # resampled: its slices are not those that were drawn on
    drawn = defaultdict[str, dict[int, list[_Drawn]]](lambda: defaultdict(list))
    for one in _find(workspace, part, volume):
        drawn[one.series_key][one.file].append(one)
    images = {image.filename: image for image in part.images}
    drawing = _Drawing(
        np.zeros(volume.array.shape, np.uint8 if len(classes) < 256 else np.uint16),
        [images[name] for name in volume.filenames],
        {name: number for number, name in enumerate(classes, start=1)},
    )
    for series_key in sorted(drawn):
        of_series = drawn[series_key]
        read_sources(_sources(workspace, series_key, of_series), partial(drawing.draw, of_series))
    return replace(volume, array=drawing.labels, unit=None) if drawing.is_any else None


@dataclass(slots=True)
class _Drawing:
    labels: NDArray[Any]
    slices: list[ImageOfSeries]
    numbers: dict[str, int]
    """Of the classes."""
    is_any: bool = False

    def draw(self, of_files: Mapping[int, Sequence[_Drawn]], file: int, opened: SourceFile) -> None:
        """Draw the frames of a segmentation."""
        content = decode(opened, max_bytes=MAX_FILE_BYTES, extra=("SegmentationType",))
        for one in sorted(of_files[file], key=lambda one: self.numbers.get(one.name, 0)):
            mask = _mask(content, one.frame, self.slices[one.slice])
            if mask is not None and one.name in self.numbers:
                self.labels[one.slice][mask] = self.numbers[one.name]
                self.is_any = True


def _sources(workspace: Workspace, series_key: str, wanted: Container[int]) -> dict[int, SourceRecord]:
    """The segmentations with these ids; none that is held back or gone."""
    try:
        recorded = read_series(workspace, series_key, (), with_sources=True)
    except ExportError:
        return {}
    return {file: one for file, one in recorded.sources.items() if file in wanted}


def _find(workspace: Workspace, part: Part, volume: Volume) -> list[_Drawn]:
    """The frames of segmentations that name a slice of a volume."""
    numbers = {name: number for number, name in enumerate(volume.filenames)}
    places = defaultdict[int, dict[int, int]](dict)
    for image in part.images:
        if image.filename in numbers:
            places[image.file][image.frame] = numbers[image.filename]
    with workspace.reading() as connection:
        return [one for file in _pieces(sorted(places)) for one in _find_on(connection, file, places)]


def _pieces(values: Sequence[int]) -> list[Sequence[int]]:
    return [values[start : start + MAX_PARAMETERS] for start in range(0, len(values), MAX_PARAMETERS)]


def _find_on(connection: Connection, those: Sequence[int], places: Mapping[int, Mapping[int, int]]) -> list[_Drawn]:
    uids = dict(
        row.tuple()
        for row in connection.execute(select(files.c.sop_instance_uid, files.c.id).where(files.c.id.in_(those)))
    )
    columns = (files.c.series_key, _SAID.file_id, _SAID.source_frame, _SAID.meaning, _SAID.label)
    target = (_SAID.target_sop_instance_uid, _SAID.target_frame)
    rows = connection.execute(
        select(*columns, *target)
        .join(files, files.c.id == _SAID.file_id)
        .where(_SAID.kind == ReferenceKind.SEGMENT.value, _SAID.number.is_not(None), _SAID.source_frame.is_not(None))
        .where(_SAID.target_sop_instance_uid.in_([uid for uid in uids if uid]), files.c.duplicate_of.is_(None))
    )
    return [
        _Drawn(series_key, file, frame - 1, _name(meaning, label), slices[(target_frame or 1) - 1])
        for series_key, file, frame, meaning, label, uid, target_frame in rows
        if (target_frame or 1) - 1 in (slices := places[uids[uid]])
    ]


def _mask(content: DicomImage, frame: int, one: ImageOfSeries) -> NDArray[np.bool_] | None:
    """Where a frame of a binary segmentation is set; None where it is none, or lies elsewhere than its slice."""
    if frame >= content.available_frames:
        return None
    attributes = content.attributes(frame)
    cosines, origin, _ = read_place(attributes, index=frame, count=content.frame_count)
    if attributes.root.raw("SegmentationType").strip() != b"BINARY" or None in (cosines, origin, one.origin):
        return None
    is_there = _is_near(origin, one.origin, SAME_PLACE_MM) and _is_near(cosines, one.cosines, SAME_COSINE)
    mask = np.asarray(content.frame(frame, _WHOLE).pixels) != 0 if is_there else None
    return mask if mask is not None and mask.shape == one.shape else None


def _is_near(one: tuple[float, ...] | None, other: tuple[float, ...] | None, tolerance: float) -> bool:
    return one is not None and other is not None and float(np.abs(np.subtract(one, other)).max()) <= tolerance
