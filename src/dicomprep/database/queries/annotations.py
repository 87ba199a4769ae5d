"""Reads of what is drawn on images: what stands now, what stood in a version, and what an undo takes back."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Table, exists, select

from dicomprep.database.annotation_schema import annotation_events, version_annotations
from dicomprep.database.bulk import any_of, look_up, scan
from dicomprep.database.queries.classes import class_names
from dicomprep.database.queries.versions import Version, find_version, locate
from dicomprep.database.schema import frames
from dicomprep.errors import EnvironmentFault
from dicomprep.pixels.shapes import Shape, ShapeKind
from dicomprep.pixels.transform import Transform

__all__ = [
    "Annotation",
    "AnnotationEvent",
    "Drawn",
    "all_annotations",
    "annotations_of",
    "drawn_on",
    "find_earlier",
    "find_event",
    "find_key",
    "frozen_annotations",
    "placements",
    "recorded_annotations",
    "used_classes",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What somebody drew on an image."""

    shape: Shape
    """In pixels of the source."""
    label: str | None = None
    note: str = ""


class Annotation(NamedTuple):
    """An annotation of an image, as it stands."""

    frame_id: int
    key: str
    drawn: Drawn
    annotator: str
    created_at: str


class AnnotationEvent(NamedTuple):
    """One event of the log."""

    id: int
    frame_id: int
    key: str


_later = annotation_events.alias("later")
_STANDS: ColumnElement[bool] = annotation_events.c.kind.is_not(None) & ~exists().where(
    _later.c.key == annotation_events.c.key, _later.c.id > annotation_events.c.id
)


def _columns(table: Table) -> tuple[Column[Any], ...]:
    names = ("frame_id", "key", "kind", "corners", "label", "note", "annotator", "created_at")
    return tuple(table.c[name] for name in names)


_COLUMNS = _columns(annotation_events)
_FRAMES = select(frames.c.id, frames.c.height, frames.c.width, frames.c.transform).where(any_of(frames.c.id))
_OF_FRAMES = select(*_COLUMNS).where(_STANDS, any_of(annotation_events.c.frame_id)).order_by(annotation_events.c.id)


def annotations_of(connection: Connection, frame_ids: Collection[int]) -> dict[int, list[Annotation]]:
    """What stands on some images, in the order in which it was drawn last; images without any are left out."""
    found: dict[int, list[Annotation]] = {}
    for annotation in _read(look_up(connection, _OF_FRAMES, list(frame_ids))):
        found.setdefault(annotation.frame_id, []).append(annotation)
    return found


class Placement(NamedTuple):
    """How places of a source lie in its thumbnail; every pair is (rows, columns)."""

    size: tuple[int, int]
    """Of the thumbnail."""
    source: tuple[int, int]
    factor: tuple[float, float]
    """`thumbnail = factor * source + shift`; below 0 where it is flipped."""
    shift: tuple[float, float]


def placements(connection: Connection, frame_ids: Sequence[int]) -> dict[int, Placement]:
    """Where the sources of some images lie in their thumbnails."""
    found = {}
    for frame_id, height, width, text in look_up(connection, _FRAMES, frame_ids):
        transform = Transform.from_json(text)
        shift, one = transform.to_thumbnail([(0, 0), (1, 1)])
        factor = (float(one[0] - shift[0]), float(one[1] - shift[1]))
        place = (float(shift[0]), float(shift[1]))
        found[frame_id] = Placement((height, width), transform.geometry.source_shape, factor, place)
    return found


def all_annotations(connection: Connection) -> Iterator[Annotation]:
    """All that stands, by the ids of the images."""
    ordered = (annotation_events.c.frame_id, annotation_events.c.id)
    statement = select(*_COLUMNS).where(_STANDS, annotation_events.c.frame_id > 0).order_by(*ordered)
    for rows in scan(connection, statement):
        yield from _read(rows)


def frozen_annotations(connection: Connection, version: Version) -> Iterator[tuple[bytes, Annotation]]:
    """The annotations of a version with the images' keys; those on images that are not given any more are left out."""
    located, names = locate(version), _columns(version_annotations)
    statement = (
        select(located.c.key, located.c.frame_id, *names[1:])
        .select_from(version_annotations.join(located, located.c.key == version_annotations.c.image_key))
        .where(version_annotations.c.version_id == version.id)
        .order_by(located.c.key, version_annotations.c.created_at, version_annotations.c.key)
    )
    for rows in scan(connection, statement):
        yield from zip((row[0] for row in rows), _read(row[1:] for row in rows), strict=True)


def recorded_annotations(connection: Connection, version: Version) -> Iterator[tuple[bytes, Annotation]]:
    """All annotations of a version with the images' keys, whatever became of the images."""
    ordered = (version_annotations.c.image_key, version_annotations.c.created_at, version_annotations.c.key)
    statement = select(version_annotations.c.image_key, *_columns(version_annotations)).order_by(*ordered)
    for rows in scan(connection, statement.where(version_annotations.c.version_id == version.id)):
        yield from zip((row[0] for row in rows), _read(row[1:] for row in rows), strict=True)


def drawn_on(connection: Connection, version: str | None) -> dict[int, list[Annotation]]:
    """All that stands, or that stood in a version, by the images that show it now."""
    drawn: dict[int, list[Annotation]] = {}
    frozen = None if version is None else frozen_annotations(connection, find_version(connection, version))
    for one in all_annotations(connection) if frozen is None else (one for _, one in frozen):
        drawn.setdefault(one.frame_id, []).append(one)
    return drawn


def used_classes(connection: Connection, drawn: Mapping[int, list[Annotation]]) -> tuple[str, ...]:
    """The classes of drawings, in the order that the data set's classes have."""
    used = {one.drawn.label for several in drawn.values() for one in several if one.drawn.label}
    known = [name for name in class_names(connection) if name in used]
    return (*known, *sorted(used - {*known}))


def find_key(connection: Connection, key: str) -> int | None:
    """The image on which an annotation is or was; None where there is none with this key."""
    statement = select(annotation_events.c.frame_id).where(annotation_events.c.key == key)
    return connection.execute(statement.limit(1)).scalar()


def find_event(connection: Connection, event_id: int) -> AnnotationEvent | None:
    """An event by its id, as long as the image is there."""
    columns = (annotation_events.c[name] for name in AnnotationEvent._fields)
    here = exists().where(frames.c.id == annotation_events.c.frame_id)
    row = connection.execute(select(*columns).where(annotation_events.c.id == event_id, here)).first()
    return None if row is None else AnnotationEvent(*row)


def find_earlier(connection: Connection, event: AnnotationEvent) -> Drawn | None:
    """What stood of an annotation before an event; None where there was nothing."""
    mine = (annotation_events.c.key == event.key) & (annotation_events.c.id < event.id)
    row = connection.execute(select(*_COLUMNS).where(mine).order_by(annotation_events.c.id.desc()).limit(1)).first()
    return None if row is None or row.kind is None else next(_read([row])).drawn


def _read(rows: Iterable[Sequence[Any]]) -> Iterator[Annotation]:
    for frame_id, key, kind, corners, label, note, annotator, created_at in rows:
        try:
            shape = Shape.of(ShapeKind(kind), json.loads(corners))
        except (ValueError, TypeError, RecursionError) as error:
            fault = f"An annotation of image {frame_id} in the database is damaged: {error}. Restore a backup."
            raise EnvironmentFault(fault) from error
        yield Annotation(frame_id, key, Drawn(shape=shape, label=label, note=note or ""), annotator, created_at)
