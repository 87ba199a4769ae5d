"""Which images come next: in what order, who else has them, and what of them is asked for."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, exists, literal_column, select

from dicomprep.database.page_schema import (
    annotators,
    catalogue,
    current_labels,
    prediction_summary,
    reservations,
    skips,
)
from dicomprep.database.queries.filters import Filter, conditions_of
from dicomprep.database.queries.ratings import is_unsettled

__all__ = ["Order", "Queue", "choose_spare", "held_by_others", "next_images", "reserved_by_others", "spare_images"]

_ZERO: ColumnElement[int] = literal_column("0")
_ONE: ColumnElement[int] = literal_column("1")
"""No parameters: an index of a part of a table serves only where the query is seen to stay within that part."""

_UNLABELED = catalogue.c.votes == _ZERO
_WAITING = (catalogue.c.votes > _ZERO) & (catalogue.c.votes < catalogue.c.wanted)


MIN_KEPT_RESERVATIONS = 3
"""Reserved images that an annotator keeps, for they are about to be shown."""


@dataclass(frozen=True, slots=True)
class Order:
    """In which order images come: shuffled, disputed, uncertainty, disagreement or confident (then of which class)."""

    kind: str = "shuffled"
    of_class: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What an annotator is to see, and in which order."""

    annotator: str
    order: Order = field(default_factory=Order)
    wanted: Filter = field(default_factory=Filter)
    after: int = 0
    """Where labeled images are reviewed, the last one that has come."""


def next_images(connection: Connection, queue: Queue, *, limit: int, without: Sequence[int] = ()) -> list[int]:
    """The images that this annotator is to see next: not reserved by others, not skipped, not in `without`.

    Every query walks along an index; without a filter it ends after `limit` rows, whatever the database holds.
    """
    free = [*conditions_of(connection, queue.wanted), catalogue.c.frame_id.not_in(without)]
    free.append(_is_free(queue.annotator, also_skipped=queue.wanted.state == "skipped"))
    if queue.wanted.is_of_labeled:
        after = select(catalogue.c.frame_id).where(*free, catalogue.c.frame_id > queue.after)
        return list(connection.execute(after.order_by(catalogue.c.frame_id).limit(limit)).scalars())
    if queue.order.kind != "shuffled":
        statement = _by_prediction(queue.order).where(*free)
        return list(connection.execute(statement.limit(limit)).scalars())
    place = select(catalogue.c.position, catalogue.c.frame_id).where(*free).limit(limit)
    fresh = place.where(_UNLABELED).order_by(catalogue.c.position)
    found = [(position, frame_id) for position, frame_id in connection.execute(fresh)]
    waiting = place.where(_WAITING, ~_labeled_by(queue.annotator))
    others = select(annotators.c.name).where(annotators.c.name != queue.annotator)
    for other in connection.execute(others).scalars().all():
        theirs = waiting.where(catalogue.c.first_by == other).order_by(catalogue.c.position)
        found += [(position, frame_id) for position, frame_id in connection.execute(theirs)]
    return [frame_id for _, frame_id in sorted(found)[:limit]]


def held_by_others(connection: Connection, annotator: str, frame_ids: Sequence[int]) -> set[int]:
    """Of these images those that are reserved for somebody else."""
    theirs = _reserved_for_others(annotator, reservations.c.frame_id).where(reservations.c.frame_id.in_(frame_ids))
    return set(connection.execute(theirs).scalars())


def reserved_by_others(connection: Connection, annotator: str) -> dict[str, list[int]]:
    """What others have reserved, by who has it, in the order in which they will see it."""
    theirs = _reserved_for_others(annotator, reservations.c.annotator, reservations.c.frame_id)
    return _by_annotator(connection, theirs)


def spare_images(connection: Connection, queue: Queue) -> list[int]:
    """Images that others have reserved, for one who would have to wait."""
    annotator = queue.annotator
    theirs = _reserved_for_others(annotator, reservations.c.annotator, reservations.c.frame_id)
    theirs = theirs.join(catalogue, catalogue.c.frame_id == reservations.c.frame_id).where(
        ~exists().where(skips.c.frame_id == reservations.c.frame_id, skips.c.annotator == annotator),
        ~_labeled_by(annotator),
        *conditions_of(connection, queue.wanted),
    )
    return choose_spare(_by_annotator(connection, theirs))


def choose_spare(queues: Mapping[str, Sequence[int]]) -> list[int]:
    """Half of what the one with most has beyond what he is about to see."""
    longest = max(queues.values(), key=len, default=[])[MIN_KEPT_RESERVATIONS:]
    return list(longest[len(longest) // 2 :])


def _by_annotator(connection: Connection, reserved: Select[Any]) -> dict[str, list[int]]:
    queues: dict[str, list[int]] = {}
    for other, frame_id in connection.execute(reserved.order_by(reservations.c.until)):
        queues.setdefault(other, []).append(frame_id)
    return queues


def _by_prediction(order: Order) -> Select[Any]:
    if order.kind == "disputed":
        return select(catalogue.c.frame_id).where(is_unsettled()).order_by(catalogue.c.frame_id)
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


def _is_free(annotator: str, *, also_skipped: bool = False) -> ColumnElement[bool]:
    """Nobody else has the image before him, and this annotator has not skipped it, unless that is what he asks for."""
    here = reservations.c.frame_id == catalogue.c.frame_id
    taken = exists().where(here, reservations.c.annotator != annotator, reservations.c.until > time.time())
    if also_skipped:
        return ~taken
    skipped = exists().where(skips.c.frame_id == catalogue.c.frame_id, skips.c.annotator == annotator)
    return ~taken & ~skipped


def _reserved_for_others(annotator: str, *columns: ColumnElement[Any]) -> Select[Any]:
    return select(*columns).where(reservations.c.annotator != annotator, reservations.c.until > time.time())


def _labeled_by(annotator: str) -> ColumnElement[bool]:
    return exists().where(current_labels.c.frame_id == catalogue.c.frame_id, current_labels.c.annotator == annotator)
