"""What several annotators said of the same images: for agreement, and to settle where they differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, case, exists, func, literal_column, select

from dicomprep.database.page_schema import catalogue, current_labels
from dicomprep.database.schema import groups, labels

__all__ = ["Rating", "Reading", "is_unsettled", "ratings", "readings", "unsettled_images"]

_ONE: ColumnElement[int] = literal_column("1")
"""No parameter: an index of a part of a table serves only where the query is seen to stay within that part."""


class Rating(NamedTuple):
    """What an annotator said of an image by himself."""

    frame_id: int
    patient: int
    """A number for him, the same in all of his groups."""
    annotator: str
    label: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What an annotator says of an image, as the one who settles it is shown it."""

    annotator: str
    label: str
    is_unsure: bool
    note: str | None


def ratings(connection: Connection, *, after: int, limit: int) -> list[Rating]:
    """Of images with labels of several annotators, those with the next ids: who said what.

    A label that settles a disagreement was given in the knowledge of the others: what its annotator said before counts.
    """
    several = select(catalogue.c.frame_id).where(catalogue.c.votes > _ONE)
    several = several.where(catalogue.c.frame_id > after).order_by(catalogue.c.frame_id).limit(limit)
    same = (labels.c.frame_id == current_labels.c.frame_id) & (labels.c.annotator == current_labels.c.annotator)
    earlier = select(labels.c.label).where(same, labels.c.adjudicated == literal_column("0"))
    earlier = earlier.where(labels.c.id < current_labels.c.event_id).order_by(labels.c.id.desc()).limit(1)
    own = case((current_labels.c.adjudicated == _ONE, earlier.scalar_subquery()), else_=current_labels.c.label)
    statement = (
        select(
            current_labels.c.frame_id,
            func.coalesce(groups.c.joined_id, groups.c.id),
            current_labels.c.annotator,
            own,
        )
        .join(catalogue, catalogue.c.frame_id == current_labels.c.frame_id)
        .join(groups, groups.c.id == catalogue.c.group_id)
        .where(current_labels.c.frame_id.in_(several))
        .order_by(current_labels.c.frame_id, current_labels.c.annotator)
    )
    return [Rating(*row) for row in connection.execute(statement)]


def is_unsettled() -> ColumnElement[bool]:
    """The condition on the catalogue by which annotators differ on an image, and nobody has settled it."""
    settled = exists().where(current_labels.c.frame_id == catalogue.c.frame_id, current_labels.c.adjudicated == _ONE)
    return (catalogue.c.votes > _ONE) & (catalogue.c.disputed > _ONE) & ~settled


def unsettled_images(connection: Connection, *, after: int = 0, limit: int) -> list[int]:
    """Images on which annotators differ, in the order of their ids."""
    statement = select(catalogue.c.frame_id).where(is_unsettled(), catalogue.c.frame_id > after)
    return list(connection.execute(statement.order_by(catalogue.c.frame_id).limit(limit)).scalars())


def readings(connection: Connection, frame_ids: Sequence[int]) -> dict[int, list[Reading]]:
    """What each annotator says of images now, by the images' ids."""
    columns = (*(current_labels.c[name] for name in ("frame_id", "annotator", "label")), labels.c.unsure, labels.c.note)
    statement = select(*columns).join(labels, labels.c.id == current_labels.c.event_id)
    statement = statement.where(current_labels.c.frame_id.in_(frame_ids)).order_by(current_labels.c.annotator)
    found: dict[int, list[Reading]] = {}
    for frame_id, annotator, label, unsure, note in connection.execute(statement):
        found.setdefault(frame_id, []).append(Reading(annotator, label, bool(unsure), note))
    return {frame_id: found[frame_id] for frame_id in frame_ids if frame_id in found}
