"""Writing labels: events that are only ever appended, by whom and when; undo is an event like any other."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, func, or_, select, update

from dicomprep.database.annotation_schema import annotation_events
from dicomprep.database.bulk import insert
from dicomprep.database.class_schema import classes
from dicomprep.database.page_schema import annotators, catalogue, reservations, skips
from dicomprep.database.queries.labeling import Event
from dicomprep.database.queries.units import Unit
from dicomprep.database.schema import frames, labels
from dicomprep.database.unit_schema import unit_labels
from dicomprep.database.writes.rows import now
from dicomprep.errors import LabelError

__all__ = [
    "Said",
    "add_classes",
    "add_label",
    "add_unit_label",
    "ask_for_more",
    "find_class",
    "pass_image",
    "release",
    "release_image",
    "remove_unused_class",
    "reserve",
    "undo_label",
    "undo_unit_label",
]


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


@dataclass(frozen=True, slots=True)
class Said:
    """What an annotator says of an image, or of a series, study or patient."""

    label: str | None
    """None: nothing, or no longer anything."""
    unsure: bool = False
    note: str | None = None
    adjudicated: bool = False
    """It decides where annotators differ."""


def add_label(connection: Connection, frame_id: int, said: Said, *, annotator: str, undoes: int | None = None) -> int:
    """Append to the log of labels; the id of the event. Nothing is ever overwritten.

    Raises LabelError where there is no such image.
    """
    if connection.execute(select(frames.c.id).where(frames.c.id == frame_id)).first() is None:
        raise LabelError(f"There is no image {frame_id}.")
    enter_annotator(connection, annotator)
    row = {"frame_id": frame_id, "annotator": annotator, "created_at": now(), "undoes": undoes, **_columns(said)}
    event_id = connection.execute(labels.insert().values(row).returning(labels.c.id)).scalar_one()
    release_image(connection, frame_id, annotator=annotator)
    return int(event_id)


def undo_label(connection: Connection, event: Event) -> str:
    """Take back what an annotator said last, so that what he said before stands again: label, unsure or note."""
    said, before = find_said(connection, event), find_said(connection, event, earlier=True)
    add_label(connection, event.frame_id, before, annotator=event.annotator, undoes=event.id)
    if said.label == before.label and said.unsure != before.unsure:
        return "unsure"
    return "note" if said.label == before.label and said.note != before.note else "label"


def find_said(connection: Connection, event: Event, *, earlier: bool = False) -> Said:
    """What an event says, or what the same annotator said of the image before it."""
    mine = (labels.c.annotator == event.annotator) & (labels.c.frame_id == event.frame_id)
    statement = select(*(labels.c[name] for name in _SAID)).where(mine)
    statement = statement.where(labels.c.id < event.id if earlier else labels.c.id == event.id)
    return said_by(connection.execute(statement.order_by(labels.c.id.desc()).limit(1)).first())


def said_by(row: Row[Any] | None) -> Said:
    """Of the columns that both logs have; nothing where there is no row."""
    return Said(None) if row is None else Said(row.label, bool(row.unsure), row.note, bool(row.adjudicated))


_SAID = ("label", "unsure", "note", "adjudicated")


def _columns(said: Said) -> dict[str, Any]:
    values = (said.label, int(said.unsure), said.note, int(said.adjudicated))
    return dict(zip(_SAID, values, strict=True))


def add_unit_label(connection: Connection, unit: Unit, said: Said, *, annotator: str, undoes: int | None = None) -> int:
    """Append to the log of labels of series, studies and patients. The event's id."""
    enter_annotator(connection, annotator)
    row = {"level": unit.level, "unit_key": unit.key, "annotator": annotator, "created_at": now(), "undoes": undoes}
    inserted = connection.execute(unit_labels.insert().values(row | _columns(said)).returning(unit_labels.c.id))
    return int(inserted.scalar_one())


def undo_unit_label(connection: Connection, event_id: int) -> Unit:
    """Let stand again what an annotator said of a unit before an event."""
    names = ("level", "unit_key", "annotator")
    event = connection.execute(select(*(unit_labels.c[n] for n in names)).where(unit_labels.c.id == event_id)).one()
    same = (unit_labels.c.level == event.level) & (unit_labels.c.unit_key == event.unit_key)
    earlier = select(*(unit_labels.c[name] for name in _SAID)).where(
        same, unit_labels.c.annotator == event.annotator, unit_labels.c.id < event_id
    )
    before = said_by(connection.execute(earlier.order_by(unit_labels.c.id.desc()).limit(1)).first())
    unit = Unit(event.level, event.unit_key)
    add_unit_label(connection, unit, before, annotator=event.annotator, undoes=event_id)
    return unit


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


def release_image(connection: Connection, frame_id: int, *, annotator: str) -> None:
    """Give one image back."""
    held = (reservations.c.frame_id == frame_id) & (reservations.c.annotator == annotator)
    connection.execute(delete(reservations).where(held))


def enter_annotator(connection: Connection, name: str) -> None:
    """Note that somebody labels under this name."""
    insert(connection, annotators, [AnnotatorRow(name=name, created_at=now())], key=("name",), replace=False)


def add_classes(connection: Connection, names: Sequence[str]) -> None:
    """Append classes to the list, except those that it has."""
    known = set(connection.execute(select(classes.c.name)).scalars())
    new = [name for name in dict.fromkeys(names) if name not in known]
    first = int(connection.execute(select(func.coalesce(func.max(classes.c.number), -1))).scalar_one()) + 1
    rows = [{"name": name, "created_at": now(), "number": number} for number, name in enumerate(new, first)]
    if rows:
        connection.execute(classes.insert(), rows)


def find_class(connection: Connection, name: str) -> int | None:
    """The id of a class that is stored."""
    return connection.execute(select(classes.c.id).where(classes.c.name == name)).scalar()


def remove_unused_class(connection: Connection, class_id: int) -> None:
    """Take a class off the list, unless somebody has labeled with it."""
    name = connection.execute(select(classes.c.name).where(classes.c.id == class_id)).scalar()
    if name is None:
        return
    logs = (labels.c.label, unit_labels.c.label, annotation_events.c.label)
    has = [
        exists().where(or_(column == name, *(column.like(form, escape="\\") for form in _forms(name))))
        for column in logs
    ]
    if not connection.execute(select(or_(*has))).scalar():
        connection.execute(delete(classes).where(classes.c.id == class_id))


def _forms(name: str) -> Iterator[str]:
    """Where a class may stand among several that a label joins by commas."""
    quoted = name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    yield from (f"{quoted},%", f"%,{quoted},%", f"%,{quoted}")
