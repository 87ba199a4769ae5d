"""Writing labels: events that are only ever appended, by whom and when; undo is an event like any other."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select, update

from dicomprep.database.bulk import insert
from dicomprep.database.page_schema import annotators, catalogue, classes, reservations, skips
from dicomprep.database.queries.labeling import Event
from dicomprep.database.schema import frames, labels
from dicomprep.database.writes.rows import now
from dicomprep.errors import LabelError

__all__ = ["add_classes", "add_label", "ask_for_more", "pass_image", "release", "reserve", "undo_label"]


@dataclass(slots=True, kw_only=True)
class SkipRow:
    """A row of `skips`."""

    frame_id: int
    annotator: str
    created_at: str


@dataclass(slots=True, kw_only=True)
class ReservationRow:
    """A row of `reservations`."""

    frame_id: int
    annotator: str
    until: float
    """Seconds since 1970."""


@dataclass(slots=True, kw_only=True)
class AnnotatorRow:
    """A row of `annotators`."""

    name: str
    created_at: str


def add_label(
    connection: Connection,
    frame_id: int,
    label: str | None,
    *,
    annotator: str,
    undoes: int | None = None,
    adjudicated: bool = False,
) -> None:
    """Append to the log of labels; None takes the annotator's label back. Nothing is ever overwritten.

    An `adjudicated` label decides where annotators differ. Raises LabelError where there is no such image.
    """
    if connection.execute(select(frames.c.id).where(frames.c.id == frame_id)).first() is None:
        raise LabelError(f"There is no image {frame_id}.")
    enter_annotator(connection, annotator)
    row = {"frame_id": frame_id, "label": label, "annotator": annotator, "created_at": now(), "undoes": undoes}
    row["adjudicated"] = int(adjudicated)
    connection.execute(labels.insert().values(row))
    held = (reservations.c.frame_id == frame_id) & (reservations.c.annotator == annotator)
    connection.execute(delete(reservations).where(held))


def undo_label(connection: Connection, event: Event) -> str | None:
    """Take back what an annotator did last; the label of his that stands again, if there was one."""
    mine = (labels.c.annotator == event.annotator) & (labels.c.frame_id == event.frame_id)
    earlier = select(labels.c.label, labels.c.adjudicated).where(mine, labels.c.id < event.id)
    row = connection.execute(earlier.order_by(labels.c.id.desc()).limit(1)).first()
    before, decides = (None, 0) if row is None else (row[0], row[1])
    add_label(connection, event.frame_id, before, annotator=event.annotator, undoes=event.id, adjudicated=bool(decides))
    return before


def pass_image(connection: Connection, frame_id: int, *, annotator: str, again: bool = False) -> None:
    """Do not show this annotator an image again; or, `again`, do."""
    mine = (skips.c.frame_id == frame_id) & (skips.c.annotator == annotator)
    if again:
        connection.execute(delete(skips).where(mine))
    else:
        row = SkipRow(frame_id=frame_id, annotator=annotator, created_at=now())
        insert(connection, skips, [row], key=("frame_id", "annotator"), replace=True)


def ask_for_more(connection: Connection, frame_id: int, *, share: float, raters: int) -> None:
    """Let `raters` annotators label an image if it is among the `share` (0…1) that several shall see."""
    chosen = (catalogue.c.frame_id == frame_id) & (catalogue.c.draw < share * 1_000_000) & (catalogue.c.wanted < raters)
    connection.execute(update(catalogue).where(chosen).values(wanted=raters))


def reserve(connection: Connection, frame_ids: Sequence[int], *, annotator: str, seconds: float) -> None:
    """Keep images for one annotator and no other, for so long; those that he sees first, first."""
    until = time.time() + seconds
    theirs = reservations.c.frame_id.in_(frame_ids) & (reservations.c.annotator != annotator)
    connection.execute(delete(reservations).where(theirs))
    rows = [
        ReservationRow(frame_id=frame_id, annotator=annotator, until=until + place / 1000)
        for place, frame_id in enumerate(frame_ids)
    ]
    insert(connection, reservations, rows, key=("frame_id", "annotator"), replace=True)


def release(connection: Connection, annotator: str | None = None) -> None:
    """Forget reservations that ran out, or those of an annotator who leaves."""
    ended = reservations.c.until < time.time() if annotator is None else reservations.c.annotator == annotator
    connection.execute(delete(reservations).where(ended))


def enter_annotator(connection: Connection, name: str) -> None:
    """Note that somebody labels under this name."""
    insert(connection, annotators, [AnnotatorRow(name=name, created_at=now())], key=("name",), replace=False)


def add_classes(connection: Connection, names: Sequence[str]) -> None:
    """Append classes to the list, except those that it has."""
    known = set(connection.execute(select(classes.c.name)).scalars())
    rows: list[dict[str, Any]] = [{"name": name, "created_at": now()} for name in names if name not in known]
    if rows:
        connection.execute(classes.insert(), rows)
