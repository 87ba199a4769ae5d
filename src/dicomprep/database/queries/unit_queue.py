"""Series, studies or patients to be labeled as wholes: which there are, what they consist of, what was said of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, func, select

from dicomprep.database.page_schema import catalogue, skips
from dicomprep.database.queries.units import UnitLabel, unit_columns, unit_key
from dicomprep.database.schema import files, frames, groups
from dicomprep.database.unit_schema import unit_labels

__all__ = ["ListedUnit", "UnitImage", "find_key", "list_keys", "list_units", "new_events", "skipped_by", "unit_images"]

_heads = groups.alias("heads")


class ListedUnit(NamedTuple):
    """A unit of the catalogue."""

    key: str
    frame_id: int
    """Of its first image, which stands for it."""
    images: int


class UnitImage(NamedTuple):
    """An image of a unit."""

    id: int
    frame_number: int
    digest: bytes
    series: str | None
    modality: str | None


def list_units(connection: Connection, level: str) -> list[ListedUnit]:
    """All units with images in the catalogue, in the order in which their images come. It reads the whole catalogue."""
    key = _key(level)
    statement = _joined(key, func.min(catalogue.c.frame_id), func.count()).where(key.is_not(None))
    rows = connection.execute(statement.group_by(key).order_by(func.min(catalogue.c.position)))
    return [ListedUnit(*row) for row in rows]


def list_keys(connection: Connection, level: str, conditions: Sequence[ColumnElement[bool]]) -> frozenset[str]:
    """The units with an image that meets conditions on the catalogue."""
    return frozenset(connection.execute(_joined(_key(level)).where(*conditions).distinct()).scalars())


def find_key(connection: Connection, level: str, frame_id: int) -> str | None:
    """The key of the unit that an image is of."""
    joined = frames.join(files, files.c.id == frames.c.file_id).join(groups, groups.c.id == files.c.group_id)
    joined = joined.join(_heads, _heads.c.id == func.coalesce(groups.c.joined_id, groups.c.id))
    statement = select(_key(level)).select_from(joined)
    return connection.execute(statement.where(frames.c.id == frame_id)).scalar()


def unit_images(connection: Connection, level: str, frame_id: int, *, limit: int) -> list[UnitImage]:
    """The images of the unit that an image is of, series after series, in their order."""
    key = find_key(connection, level, frame_id)
    group = select(files.c.group_id).join(frames, frames.c.file_id == files.c.id).where(frames.c.id == frame_id)
    head = select(func.coalesce(groups.c.joined_id, groups.c.id)).where(groups.c.id == group.scalar_subquery())
    same = select(groups.c.id).where(func.coalesce(groups.c.joined_id, groups.c.id) == head.scalar_subquery())
    columns = (frames.c.id, frames.c.frame_number, frames.c.digest, files.c.series_key, files.c.modality)
    statement = _joined(*columns).where(catalogue.c.group_id.in_(same), _key(level) == key)
    order = (files.c.study_key, files.c.series_number, files.c.series_key, catalogue.c.slot, frames.c.id)
    return [UnitImage(*row) for row in connection.execute(statement.order_by(*order).limit(limit))]


def new_events(connection: Connection, level: str, *, after: int) -> list[UnitLabel]:
    """What was said of units since an event, the first first."""
    statement = select(*unit_columns()).where(unit_labels.c.level == level, unit_labels.c.id > after)
    return [UnitLabel(*row) for row in connection.execute(statement.order_by(unit_labels.c.id))]


def skipped_by(connection: Connection, annotator: str) -> set[int]:
    """The images that an annotator skipped."""
    return set(connection.execute(select(skips.c.frame_id).where(skips.c.annotator == annotator)).scalars())


def _key(level: str) -> ColumnElement[Any]:
    """The same for all groups that are one patient."""
    return _heads.c.key if level == "patient" else unit_key(level)


def _joined(*columns: ColumnElement[Any]) -> Select[Any]:
    joined = catalogue.join(frames, frames.c.id == catalogue.c.frame_id).join(files, files.c.id == frames.c.file_id)
    joined = joined.join(groups, groups.c.id == files.c.group_id)
    joined = joined.join(_heads, _heads.c.id == func.coalesce(groups.c.joined_id, groups.c.id))
    return select(*columns).select_from(joined)
