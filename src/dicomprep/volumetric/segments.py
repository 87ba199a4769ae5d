"""What binary segmentations say of single images, as masks on the images' own pixels."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from dicomprep.config import Fidelity, ImageOptions
from dicomprep.database.reference_schema import references
from dicomprep.database.schema import files
from dicomprep.errors import ExportError
from dicomprep.exchange.drawings.base import DrawnMask, MaskGrid
from dicomprep.pipeline.stages.decode import decode
from dicomprep.storage.source import SourceFile
from dicomprep.volumetric.records import read_series
from dicomprep.volumetric.sources import MAX_FILE_BYTES, read_sources
from dicomprep.workspace import Workspace

__all__ = ["read_masks"]

_WHOLE = ImageOptions(window="0/1", fidelity=Fidelity.EXACT)


class _Segment(NamedTuple):
    """A frame of a segmentation, and the image that it was drawn on."""

    series_key: str
    file: int
    frame: int
    name: str
    image_id: int


@dataclass(slots=True)
class _Reading:
    grids: Mapping[int, MaskGrid]
    masks: defaultdict[int, list[DrawnMask]] = field(default_factory=lambda: defaultdict(list))

    def read(self, of_files: Mapping[int, list[_Segment]], file: int, opened: SourceFile) -> None:
        """Keep the masks of a file; of what is no binary segmentation there is none."""
        content = decode(opened, max_bytes=MAX_FILE_BYTES, extra=("SegmentationType",))
        for one in of_files[file]:
            if one.frame >= content.available_frames:
                continue
            if content.attributes(one.frame).root.raw("SegmentationType").strip() != b"BINARY":
                continue
            mask = np.asarray(content.frame(one.frame, _WHOLE).pixels) != 0
            grid = self.grids[one.image_id]
            if mask.shape == grid.source:
                self.masks[one.image_id].append(_drawn(mask, grid, one.name))


def read_masks(workspace: Workspace, grids: Mapping[int, MaskGrid]) -> dict[int, list[DrawnMask]]:
    """The masks of images, by their ids, from the SEG files that name them.

    Segmentations that are not binary, or whose frames have another size, have none.
    Raises ExportError where a file cannot be read any more.
    """
    by_series = defaultdict[str, dict[int, list[_Segment]]](lambda: defaultdict(list))
    with workspace.reading() as connection:
        for one in _find(connection, grids):
            by_series[one.series_key][one.file].append(one)
    reading = _Reading(grids)
    for series_key in sorted(by_series):
        of_series = by_series[series_key]
        try:
            recorded = read_series(workspace, series_key, (), with_sources=True)
        except ExportError:
            continue  # all of it is held back
        sources = {file: one for file, one in recorded.sources.items() if file in of_series}
        read_sources(sources, partial(reading.read, of_series))
    return dict(reading.masks)


def _find(connection: Connection, images: Collection[int]) -> list[_Segment]:
    said = references.c
    columns = (files.c.series_key, said.file_id, said.source_frame, said.meaning, said.label, said.image_id)
    statement = (
        select(*columns)
        .join(files, files.c.id == said.file_id)
        .where(said.kind == "segment", said.number.is_not(None), said.source_frame.is_not(None))
        .where(said.image_id.is_not(None), files.c.duplicate_of.is_(None))
        .order_by(said.file_id, said.position)
    )
    return [
        _Segment(series_key, file, frame - 1, meaning or label or "segment", image_id)
        for series_key, file, frame, meaning, label, image_id in connection.execute(statement)
        if image_id in images
    ]


def _drawn(mask: NDArray[np.bool_], grid: MaskGrid, name: str) -> DrawnMask:
    """A mask as runs down its columns, as COCO counts them; it begins with what is not set."""
    rows, columns, _ = grid
    shown = mask[np.ix_(rows, columns)] & (rows >= 0)[:, None] & (columns >= 0)
    flat = shown.ravel(order="F").astype(np.int8)
    ends = np.flatnonzero(np.diff(flat, prepend=0)).tolist()
    counts = tuple(int(n) for n in np.diff([0, *ends, len(flat)]))
    there = [np.flatnonzero(shown.any(axis=axis)) for axis in (1, 0)]
    top, left, bottom, right = (*(t.min() for t in there), *(t.max() + 1 for t in there)) if flat.any() else (0,) * 4
    return DrawnMask(name, shown.shape, counts, int(flat.sum()), (int(top), int(left), int(bottom), int(right)))
