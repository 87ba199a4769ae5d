"""Reads of the slices of series in their order: of the table that is kept, or derived where that is out of date."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from dicomprep.database.bulk import scan
from dicomprep.database.queries.releases import may_leave, shown_as, shown_frames
from dicomprep.database.queries.series_facts import derive_series
from dicomprep.database.queries.slice_order import PlacedSlice
from dicomprep.database.queries.versions import find_version, locate
from dicomprep.database.schema import files, frames
from dicomprep.database.series_schema import series_slices, stale_series

__all__ = ["OrderedSlice", "read_order", "read_slices"]

BATCH_SERIES = 200
"""Series that are read with one query; bounds memory."""


class OrderedSlice(NamedTuple):
    """A slice of a series, also one that is hidden as a duplicate."""

    frame_id: int
    stack: int
    path: str
    digest: bytes


def read_slices(
    connection: Connection, keys: Sequence[str], *, version: str | None = None
) -> Iterator[list[OrderedSlice | None]]:
    """The slices of each of these series in their order; None in the place of one that may not be given.

    Such are held back, or not in `version`. Of those that are hidden as duplicates, the image that is shown decides.
    """
    frozen = None if version is None else _frozen_ids(connection, version)
    for start in range(0, len(keys), BATCH_SERIES):
        batch = keys[start : start + BATCH_SERIES]
        images = _read_images(connection, batch, frozen)
        for placed in read_order(connection, batch):
            yield [_find(one, images) for one in placed]


def _frozen_ids(connection: Connection, version: str) -> NDArray[np.int64]:
    """Where the images of a version are now, ascending."""
    located = select(locate(find_version(connection, version)).c.frame_id)
    return np.sort(np.array([row[0] for rows in scan(connection, located) for row in rows], np.int64))


def _find(placed: PlacedSlice, images: dict[int, tuple[str, bytes]]) -> OrderedSlice | None:
    image = images.get(placed.frame_id)
    return None if image is None else OrderedSlice(*placed, *image)


def read_order(connection: Connection, keys: Sequence[str]) -> Iterator[list[PlacedSlice]]:
    """The images of each of these series in their order, also hidden and held ones.

    What is out of date, as during a run or where the database cannot be written to, is derived anew.
    """
    known = stale_series.c.series_key
    stale = list(connection.execute(select(known).where(known.in_(keys)).distinct()).scalars())
    kept = series_slices.c.series_key
    columns = (kept, series_slices.c.frame_id, series_slices.c.stack)
    statement = select(*columns).where(kept.in_(keys), kept.not_in(stale)).order_by(kept, series_slices.c.place)
    for _, rows in groupby(connection.execute(statement), key=lambda row: row[0]):
        yield [PlacedSlice(*row[1:]) for row in rows]
    for series in derive_series(connection, stale) if stale else ():
        yield series.order


def _read_images(
    connection: Connection, keys: Sequence[str], frozen: NDArray[np.int64] | None
) -> dict[int, tuple[str, bytes]]:
    """Path and digest of the frames that may be given, by their ids."""
    joined = frames.join(files, files.c.id == frames.c.file_id).join(shown_frames, shown_as())
    columns = (frames.c.id, shown_frames.c.id, frames.c.thumbnail_path, frames.c.digest)
    conditions = (files.c.series_key.in_(keys), may_leave(connection, shown=shown_frames))
    rows = connection.execute(select(*columns).select_from(joined).where(*conditions)).all()
    if frozen is not None and rows:
        given = np.isin(np.array([row[:2] for row in rows], np.int64), frozen)
        rows = [rows[number] for number in np.flatnonzero(given.any(axis=1)).tolist()]
    return {row[0]: (row[2], row[3]) for row in rows}
