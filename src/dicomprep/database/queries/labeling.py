"""What the labeling page reads: which image comes next, what it is, how far everyone is."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, exists, func, literal_column, or_, select

from dicomprep.database.page_schema import (
    annotators,
    catalogue,
    classes,
    current_labels,
    prediction_summary,
    reservations,
    skips,
)
from dicomprep.database.queries.frames import Choice, is_chosen
from dicomprep.database.schema import files, frames, groups, labels

__all__ = [
    "Card",
    "Event",
    "Order",
    "any_new",
    "class_names",
    "count_catalogue",
    "count_labels",
    "count_own_labels",
    "current_label",
    "describe",
    "held_by_others",
    "neighbors",
    "newest_event",
    "next_images",
    "own_history",
    "ratings",
    "spare_images",
]


_ZERO: ColumnElement[int] = literal_column("0")
_ONE: ColumnElement[int] = literal_column("1")
"""No parameters: an index of a part of a table serves only where the query is seen to stay within that part."""

_UNLABELED = catalogue.c.votes == _ZERO
_WAITING = (catalogue.c.votes > _ZERO) & (catalogue.c.votes < catalogue.c.wanted)


MIN_KEPT_RESERVATIONS = 3
"""Reserved images that an annotator keeps, for they are about to be shown."""


@dataclass(frozen=True, slots=True)
class Card:
    """What the page shows of an image."""

    id: int
    filename: str
    frame_number: int
    digest: bytes
    frame_count: int
    modality: str | None
    study_id: str
    split: str
    mine: str | None
    """How this annotator labeled it."""
    series: int
    slot: int
    view: str | None
    laterality: str | None


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the log of labels."""

    id: int
    frame_id: int
    annotator: str


@dataclass(frozen=True, slots=True)
class Order:
    """In which order images come: shuffled, disputed, uncertainty, disagreement or confident (then of which class)."""

    kind: str = "shuffled"
    of_class: str = ""
    model: str = ""


def class_names(connection: Connection) -> list[str]:
    """The classes, in the order in which they were added."""
    return list(connection.execute(select(classes.c.name).order_by(classes.c.id)).scalars())


def next_images(
    connection: Connection, annotator: str, order: Order, *, limit: int, without: Sequence[int] = ()
) -> list[int]:
    """The images that this annotator is to see next: not reserved by others, not skipped, not in `without`.

    Every query walks along an index and ends after `limit` rows, whatever the database holds.
    """
    if order.kind != "shuffled":
        statement = _by_prediction(order).where(_is_free(annotator), catalogue.c.frame_id.not_in(without))
        return list(connection.execute(statement.limit(limit)).scalars())
    place = select(catalogue.c.position, catalogue.c.frame_id)
    place = place.where(_is_free(annotator), catalogue.c.frame_id.not_in(without)).limit(limit)
    fresh = place.where(_UNLABELED).order_by(catalogue.c.position)
    found = [(position, frame_id) for position, frame_id in connection.execute(fresh)]
    waiting = place.where(_WAITING, ~_labeled_by(annotator))
    for other in connection.execute(select(annotators.c.name).where(annotators.c.name != annotator)).scalars().all():
        theirs = waiting.where(catalogue.c.first_by == other).order_by(catalogue.c.position)
        found += [(position, frame_id) for position, frame_id in connection.execute(theirs)]
    return [frame_id for _, frame_id in sorted(found)[:limit]]


def held_by_others(connection: Connection, annotator: str, frame_ids: Sequence[int]) -> set[int]:
    """Of these images those that are reserved for somebody else."""
    theirs = _reserved_for_others(annotator, reservations.c.frame_id).where(reservations.c.frame_id.in_(frame_ids))
    return set(connection.execute(theirs).scalars())


def spare_images(connection: Connection, annotator: str) -> list[int]:
    """Half of what others have reserved beyond what they are about to see: for one who would have to wait."""
    theirs = _reserved_for_others(annotator, reservations.c.annotator, reservations.c.frame_id)
    theirs = theirs.join(catalogue, catalogue.c.frame_id == reservations.c.frame_id).where(
        ~exists().where(skips.c.frame_id == reservations.c.frame_id, skips.c.annotator == annotator),
        ~_labeled_by(annotator),
    )
    queues: dict[str, list[int]] = {}
    for other, frame_id in connection.execute(theirs.order_by(reservations.c.until)):
        queues.setdefault(other, []).append(frame_id)
    longest = max(queues.values(), key=len, default=[])[MIN_KEPT_RESERVATIONS:]
    return longest[len(longest) // 2 :]


def describe(connection: Connection, frame_ids: Sequence[int], *, annotator: str) -> list[Card]:
    """What the page shows of images, in the order of their ids in `frame_ids`."""
    mine = select(current_labels.c.label).where(
        current_labels.c.frame_id == frames.c.id, current_labels.c.annotator == annotator
    )
    statement = (
        select(
            frames.c.id,
            frames.c.filename,
            frames.c.frame_number,
            frames.c.digest,
            files.c.frame_count,
            files.c.modality,
            files.c.study_id,
            groups.c.split,
            mine.scalar_subquery().label("mine"),
            catalogue.c.series,
            catalogue.c.slot,
            files.c.view_position,
            files.c.laterality,
        )
        .select_from(frames.join(files).join(groups).join(catalogue, catalogue.c.frame_id == frames.c.id))
        .where(frames.c.id.in_(frame_ids))
    )
    rows: list[tuple[Any, ...]] = [tuple(row) for row in connection.execute(statement)]
    cards = {row[0]: Card(*row) for row in rows}
    return [cards[frame_id] for frame_id in frame_ids if frame_id in cards]


def neighbors(connection: Connection, card: Card, *, each_way: int) -> list[int]:
    """Images before and after one in its series or cine, itself among them, in their order."""
    series = select(catalogue.c.frame_id, catalogue.c.slot).where(catalogue.c.series == card.series)
    slot, frame_id = catalogue.c.slot, catalogue.c.frame_id
    before = series.where(slot <= card.slot, or_(slot < card.slot, frame_id < card.id))
    before = before.order_by(slot.desc(), frame_id.desc()).limit(each_way)
    after = series.where(slot >= card.slot, or_(slot > card.slot, frame_id >= card.id))
    after = after.order_by(slot, frame_id).limit(each_way + 1)
    earlier = connection.execute(before).scalars().all()
    return [*reversed(earlier), *connection.execute(after).scalars()]


def own_history(connection: Connection, annotator: str, *, limit: int) -> list[int]:
    """The images that an annotator labeled last and that are still so, the last one first."""
    mine = select(labels.c.frame_id, func.max(labels.c.id).label("event")).where(
        labels.c.annotator == annotator, labels.c.frame_id > 0
    )
    recent = select(labels.c.id).where(labels.c.annotator == annotator).order_by(labels.c.id.desc()).limit(limit)
    stands = exists().where(current_labels.c.frame_id == labels.c.frame_id, current_labels.c.annotator == annotator)
    statement = mine.where(labels.c.id.in_(recent), stands).group_by(labels.c.frame_id)
    rows = connection.execute(statement).all()
    return [frame_id for frame_id, _ in sorted(rows, key=lambda row: -row[1])]


def any_new(connection: Connection, wanted: Choice) -> bool:
    """Whether there are wanted images that the catalogue has not yet."""
    newest = connection.execute(select(func.max(catalogue.c.frame_id))).scalar() or 0
    new = select(frames.c.id).select_from(frames.join(files).join(groups)).where(frames.c.id > newest)
    return connection.execute(new.where(files.c.duplicate_of.is_(None), is_chosen(wanted)).limit(1)).first() is not None


def newest_event(connection: Connection, annotator: str) -> Event | None:
    """What an annotator did last and has not taken back: that is what an undo takes back."""
    undoing = labels.alias("undoing")
    mine = (labels.c.annotator == annotator) & labels.c.undoes.is_(None) & (labels.c.frame_id > 0)
    stands = ~exists().where(undoing.c.undoes == labels.c.id)
    statement = select(labels.c.id, labels.c.frame_id).where(mine, stands).order_by(labels.c.id.desc()).limit(1)
    row = connection.execute(statement).first()
    return None if row is None else Event(row[0], row[1], annotator)


def current_label(connection: Connection, frame_id: int) -> str | None:
    """The label of an image that counts, whoever gave it."""
    statement = select(catalogue.c.label).where(catalogue.c.frame_id == frame_id)
    return connection.execute(statement).scalar()


def count_catalogue(connection: Connection) -> int:
    """How many images the catalogue holds. It takes a while where there are many: not for every request."""
    return int(connection.execute(select(func.count()).select_from(catalogue)).scalar_one())


def count_labels(connection: Connection) -> dict[str, int]:
    """How many images have each label now."""
    statement = select(catalogue.c.label, func.count()).where(catalogue.c.label.is_not(None))
    return {row[0]: row[1] for row in connection.execute(statement.group_by(catalogue.c.label))}


def count_own_labels(connection: Connection, annotator: str) -> int:
    """How many images an annotator has labeled. It takes a while where there are many: not for every request."""
    statement = select(func.count()).select_from(current_labels).where(current_labels.c.annotator == annotator)
    return int(connection.execute(statement).scalar_one())


def ratings(connection: Connection, *, after: int, limit: int) -> dict[int, dict[str, str]]:
    """Of images with labels of several annotators, those with the next ids: who says what."""
    several = select(catalogue.c.frame_id).where(catalogue.c.votes > _ONE)
    several = several.where(catalogue.c.frame_id > after).order_by(catalogue.c.frame_id).limit(limit)
    statement = select(current_labels.c.frame_id, current_labels.c.annotator, current_labels.c.label)
    statement = statement.where(current_labels.c.frame_id.in_(several)).order_by(current_labels.c.frame_id)
    said: dict[int, dict[str, str]] = {}
    for frame_id, annotator, label in connection.execute(statement):
        said.setdefault(frame_id, {})[annotator] = label
    return said


def _by_prediction(order: Order) -> Select[Any]:
    if order.kind == "disputed":
        decided = exists().where(
            current_labels.c.frame_id == catalogue.c.frame_id, current_labels.c.adjudicated == _ONE
        )
        disputed = (catalogue.c.votes > _ONE) & (catalogue.c.disputed > _ONE) & ~decided
        return select(catalogue.c.frame_id).where(disputed).order_by(catalogue.c.frame_id)
    statement = select(prediction_summary.c.frame_id).join(
        catalogue, catalogue.c.frame_id == prediction_summary.c.frame_id
    )
    statement = statement.where(prediction_summary.c.model == order.model)
    if order.kind == "disagreement":
        return statement.where(prediction_summary.c.disagrees == _ONE).order_by(prediction_summary.c.score.desc())
    statement = statement.where(prediction_summary.c.votes == _ZERO)
    if order.kind == "uncertainty":
        return statement.order_by(prediction_summary.c.margin)
    return statement.where(prediction_summary.c.label == order.of_class).order_by(prediction_summary.c.score.desc())


def _is_free(annotator: str) -> ColumnElement[bool]:
    """Nobody else has the image before him, and this annotator has not skipped it."""
    here = reservations.c.frame_id == catalogue.c.frame_id
    taken = exists().where(here, reservations.c.annotator != annotator, reservations.c.until > time.time())
    skipped = exists().where(skips.c.frame_id == catalogue.c.frame_id, skips.c.annotator == annotator)
    return ~taken & ~skipped


def _reserved_for_others(annotator: str, *columns: ColumnElement[Any]) -> Select[Any]:
    return select(*columns).where(reservations.c.annotator != annotator, reservations.c.until > time.time())


def _labeled_by(annotator: str) -> ColumnElement[bool]:
    return exists().where(current_labels.c.frame_id == catalogue.c.frame_id, current_labels.c.annotator == annotator)
