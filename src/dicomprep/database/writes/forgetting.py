"""Removing a patient or files for good: all rows that say anything of them, and what keeps them from coming back."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Table, bindparam, delete, select

from dicomprep.database.annotation_schema import annotation_events, version_annotations
from dicomprep.database.bulk import any_of, insert, look_up
from dicomprep.database.page_schema import (
    catalogue,
    catalogue_counts,
    commands,
    current_labels,
    prediction_summary,
    reservations,
    skips,
)
from dicomprep.database.picture_schema import waiting
from dicomprep.database.schema import (
    aliases,
    files,
    frames,
    groups,
    labels,
    links,
    predictions,
    releases,
    tombstones,
)
from dicomprep.database.unit_schema import unit_labels
from dicomprep.database.version_schema import version_images, version_units
from dicomprep.database.writes.duplicates import Duplicates
from dicomprep.database.writes.pictures import Pictures

__all__ = ["TombstoneRow", "add_tombstones", "erase_files", "erase_groups", "known_tombstones", "remove_tombstones"]

EVENTS = (labels, predictions, releases, annotation_events)
OF_FRAMES = (
    *(*EVENTS, current_labels, reservations, skips, prediction_summary, catalogue, commands),
    *(version_images, version_annotations),
)
"""Whatever says something of a frame, by its `frame_id`."""

_FRAMES = select(frames.c.id, frames.c.thumbnail_path, frames.c.source_digest, frames.c.stream_digest).where(
    any_of(frames.c.file_id)
)
_OF_FILES = files.join(groups, groups.c.id == files.c.group_id)
_UNITS = select(files.c.series_key, files.c.study_key, groups.c.key).select_from(_OF_FILES).where(any_of(files.c.id))
_LEVELS = {"series": files.c.series_key, "study": files.c.study_key, "patient": groups.c.key}
_DIGESTS = select(files.c.digest).where(any_of(files.c.id))
_WAITING_BY = [
    select(waiting.c.id).where(any_of(column))
    for column in (waiting.c.file_id, waiting.c.file_digest, waiting.c.source_digest, waiting.c.stream_digest)
]


@dataclass(slots=True)
class TombstoneRow:
    """A row of `tombstones`."""

    key: str
    owner: str


def erase_files(connection: Connection, file_ids: Sequence[int], run_id: int, *, key: bytes) -> list[str]:
    """Remove inputs with their images and all that was ever said of these; the images' paths.

    A duplicate in the hands of another patient takes the place of an original.
    """
    known, units = list(look_up(connection, _FRAMES, file_ids)), list(look_up(connection, _UNITS, file_ids))
    pictures = {digest for row in known for digest in row[2:] if digest}
    contents = {digest for (digest,) in look_up(connection, _DIGESTS, file_ids) if digest}
    for query, values in zip(_WAITING_BY, (file_ids, contents, pictures, pictures), strict=True):
        _erase_waiting(connection, [row[0] for row in look_up(connection, query, list(values))])
    duplicates = Duplicates(connection, run_id, key)
    duplicates.release_duplicates_of(file_ids)
    for table in OF_FRAMES:
        _delete(connection, table, table.c.frame_id, [row[0] for row in known])
    _delete(connection, frames, frames.c.file_id, file_ids)
    _delete(connection, files, files.c.id, file_ids)
    _erase_unit_labels(connection, units)
    duplicates.resolve(())
    Pictures(connection, run_id).hand_over((), duplicates.surfaced)
    return [row[1] for row in known]


def erase_groups(connection: Connection, group_ids: Sequence[int]) -> None:
    """Remove patients of whom no input is left, with all keys by which they were known."""
    _delete(connection, aliases, aliases.c.group_id, group_ids)
    _delete(connection, links, links.c.group_id, group_ids)
    _delete(connection, links, links.c.other_id, group_ids)
    _delete(connection, catalogue_counts, catalogue_counts.c.group_id, group_ids)
    _delete(connection, groups, groups.c.id, group_ids)


def add_tombstones(connection: Connection, rows: Sequence[TombstoneRow]) -> None:
    """Remember what must not come back."""
    insert(connection, tombstones, rows, key=("key", "owner"), replace=False)


def known_tombstones(connection: Connection) -> set[str]:
    """All that must not come back."""
    return set(connection.execute(select(tombstones.c.key)).scalars())


def remove_tombstones(connection: Connection, owners: Collection[str]) -> int:
    """Let those come back; how many tombstones that were."""
    return connection.execute(delete(tombstones).where(tombstones.c.owner.in_(owners))).rowcount


def _erase_unit_labels(connection: Connection, units: Sequence[tuple[str | None, ...]]) -> None:
    """Remove what was said of series, studies and patients of which no input is left."""
    for place, (level, column) in enumerate(_LEVELS.items()):
        keys = {unit[place] for unit in units} - {None}
        left = look_up(connection, select(column).select_from(_OF_FILES).where(any_of(column)), list(keys))
        rows = [{"value": key} for key in keys - {row[0] for row in left}]
        if rows:
            for table in (unit_labels, version_units):
                mine = (table.c.level == level) & (table.c.unit_key == bindparam("value"))
                connection.execute(delete(table).where(mine), rows)


def _erase_waiting(connection: Connection, ids: Sequence[int]) -> None:
    """What waits has the number of its row, negated, in place of a frame's."""
    for table in EVENTS:
        _delete(connection, table, table.c.frame_id, [-number for number in ids])
    _delete(connection, waiting, waiting.c.id, ids)


def _delete(connection: Connection, table: Table, column: ColumnElement[int], values: Iterable[int]) -> None:
    rows = [{"value": value} for value in values]
    if rows:
        connection.execute(delete(table).where(column == bindparam("value")), rows)
