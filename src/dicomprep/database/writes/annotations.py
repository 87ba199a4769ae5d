"""Writing annotations: events that are only ever appended; of one key the newest stands."""

import math
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, select

from dicomprep.database.annotation_schema import annotation_events
from dicomprep.database.bulk import append
from dicomprep.database.queries.annotations import Annotation, AnnotationEvent, Drawn, annotations_of, find_earlier
from dicomprep.database.schema import frames
from dicomprep.database.writes.labels import enter_annotator
from dicomprep.database.writes.rows import now
from dicomprep.errors import LabelError
from dicomprep.pixels.shapes import Shape, ShapeKind
from dicomprep.pixels.transform import Transform

__all__ = ["GivenAnnotation", "add_annotation", "add_annotations", "draw_on", "new_key", "undo_annotation"]

BATCH_ANNOTATIONS = 5_000
SAME_PIXELS = 0.01
"""Pixels of the source within which two drawings are the same: formats round."""

_NAMES = (
    *("frame_id", "key", "kind", "label", "note", "annotator", "created_at"),
    *("row_min", "column_min", "row_max", "column_max", "corners", "undoes"),
)


@dataclass(frozen=True, slots=True)
class GivenAnnotation:
    """An annotation of elsewhere."""

    frame_id: int
    drawn: Drawn
    annotator: str


def new_key() -> str:
    """A key that no other annotation has."""
    return secrets.token_hex(16)


def add_annotation(
    connection: Connection, frame_id: int, key: str, drawn: Drawn | None, *, annotator: str, undoes: int | None = None
) -> int:
    """Append what is drawn now under a key, or, with None, that it is taken away. The event's id.

    Raises LabelError where there is no such image.
    """
    if connection.execute(select(frames.c.id).where(frames.c.id == frame_id)).first() is None:
        raise LabelError(f"There is no image {frame_id}.")
    enter_annotator(connection, annotator)
    row = dict(zip(_NAMES, _row(frame_id, key, drawn, annotator, now(), undoes), strict=True))
    inserted = connection.execute(annotation_events.insert().values(row).returning(annotation_events.c.id))
    return int(inserted.scalar_one())


def draw_on(
    connection: Connection,
    frame_id: int,
    kind: str,
    corners: Sequence[tuple[float, float]],
    *,
    label: str | None,
    note: str,
) -> Drawn:
    """A drawing on an image that is there, cut to its source; LabelError, which says why, where it is none."""
    text = connection.execute(select(frames.c.transform).where(frames.c.id == frame_id)).scalar_one()
    try:
        shape = Shape.of(ShapeKind(kind), corners)
        inside = shape.within(*Transform.from_json(text).geometry.source_shape)
    except ValueError as error:
        raise LabelError(f"This is no annotation: {error}.") from error
    if inside is None:
        raise LabelError("This annotation lies outside of the image.")
    return Drawn(shape=inside, label=label, note=note)


def undo_annotation(connection: Connection, event: AnnotationEvent, *, annotator: str) -> None:
    """Let stand again what stood before an event, or nothing."""
    before = find_earlier(connection, event)
    add_annotation(connection, event.frame_id, event.key, before, annotator=annotator, undoes=event.id)


def add_annotations(connection: Connection, given: Iterable[GivenAnnotation]) -> int:
    """Append annotations, but for those that stand already, of the same annotator; how many were appended."""
    added, left, known = 0, iter(given), set[str]()
    while batch := list(islice(left, BATCH_ANNOTATIONS)):
        for name in dict.fromkeys(one.annotator for one in batch if one.annotator not in known):
            enter_annotator(connection, name)
            known.add(name)
        moment = now()
        new = list(_new(annotations_of(connection, {one.frame_id for one in batch}), batch))
        rows = [_row(one.frame_id, new_key(), one.drawn, one.annotator, moment, None) for one in new]
        append(connection, annotation_events, _NAMES, rows)
        added += len(new)
    return added


def _new(known: dict[int, list[Annotation]], given: Sequence[GivenAnnotation]) -> Iterator[GivenAnnotation]:
    """Those that do not stand already; each that does counts for one, so that a drawing may be there twice."""
    for one in given:
        standing = known.get(one.frame_id, [])
        same = next((s for s in standing if s.annotator == one.annotator and _is_same(s.drawn, one.drawn)), None)
        if same is None:
            yield one
        else:
            standing.remove(same)


def _is_same(one: Drawn, other: Drawn) -> bool:
    if (one.shape.kind, one.label, one.note) != (other.shape.kind, other.label, other.note):
        return False
    corners, others = one.shape.corners, other.shape.corners
    return len(corners) == len(others) and all(
        math.dist(corner, twin) <= SAME_PIXELS for corner, twin in zip(corners, others, strict=True)
    )


def _row(
    frame_id: int, key: str, drawn: Drawn | None, annotator: str, created_at: str, undoes: int | None
) -> tuple[object, ...]:
    if drawn is None:
        return (frame_id, key, None, None, None, annotator, created_at, None, None, None, None, None, undoes)
    shape = drawn.shape
    said = (frame_id, key, shape.kind.value, drawn.label, drawn.note or None, annotator, created_at)
    return (*said, *shape.bounds, shape.to_json(), undoes)
