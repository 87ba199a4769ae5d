"""What annotators did by the pages, in order: what is sent twice counts once, and an undo finds the last."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, exists, func, literal_column, or_, select, update

from dicomprep.database.page_schema import command_events, commands, skips
from dicomprep.database.queries.annotations import find_event
from dicomprep.database.queries.labeling import Event, newest_event
from dicomprep.database.schema import frames, labels
from dicomprep.database.writes.annotations import undo_annotation
from dicomprep.database.writes.labels import pass_image, remove_unused_class, undo_label, undo_unit_label
from dicomprep.database.writes.rows import now

__all__ = ["ANNOTATE", "BATCH", "Command", "count_events", "find_command", "note_command", "show_again", "undo_last"]

SKIP, AGAIN, ANNOTATE, UNIT, CLASS, BATCH = "skip", "again", "annotate", "unit", "class", "batch"
_SKIPPED = (commands.c.kind == SKIP) & (commands.c.undone == 0)


@dataclass(frozen=True, slots=True)
class Command:
    """Something that an annotator did."""

    kind: str
    """label, batch, skip, again, annotate, unit, class, leave or undo; of what was undone also unsure or note."""
    frame_id: int | None = None
    """None: of no image, or an undo that found nothing."""
    annotation_id: int | None = None
    """The event that it added to the log of annotations."""
    unit_label_id: int | None = None
    """The event that it added to the log of labels of series, studies and patients."""
    class_id: int | None = None
    """The class that it added."""
    undid: str | None = None
    """What an undo took back."""
    events: tuple[int, ...] = ()
    """The labels that it gave, of several images."""


_NAMES = ("kind", "frame_id", "annotation_id", "unit_label_id", "class_id", "undid")


def find_command(connection: Connection, annotator: str, key: str | None) -> Command | None:
    """What was done already under this id, if anything was."""
    if key is None:
        return None
    mine = (commands.c.annotator == annotator) & (commands.c.key == key)
    row = connection.execute(select(*(commands.c[name] for name in _NAMES)).where(mine)).first()
    return None if row is None else Command(*row)


def note_command(connection: Connection, done: Command, *, annotator: str, key: str | None) -> None:
    """Note what was done; only what no event of labels tells of is noted without an id."""
    if key is None and done.kind not in _TAKEN_BACK:
        return
    newest = select(func.max(labels.c.id)).where(labels.c.annotator == annotator)
    row = {name: getattr(done, name) for name in _NAMES} | {
        "annotator": annotator,
        "key": key,
        "event_id": connection.execute(newest).scalar() or 0,
        "undone": 0,
        "created_at": now(),
    }
    noted = connection.execute(commands.insert().values(row).returning(commands.c.id)).scalar_one()
    if done.kind == BATCH:
        rows = [{"command_id": noted, "event_id": event_id} for event_id in done.events]
        connection.execute(command_events.insert(), rows)


def count_events(connection: Connection, annotator: str, key: str) -> int:
    """How many labels a command gave that labeled several images."""
    joined = command_events.join(commands, commands.c.id == command_events.c.command_id)
    statement = select(func.count()).select_from(joined)
    return int(
        connection.execute(statement.where(commands.c.annotator == annotator, commands.c.key == key)).scalar_one()
    )


def show_again(connection: Connection, frame_id: int, *, annotator: str) -> None:
    """Take back that an annotator skipped an image."""
    mine = _SKIPPED & (commands.c.annotator == annotator) & (commands.c.frame_id == frame_id)
    connection.execute(update(commands).where(mine).values(undone=1))
    pass_image(connection, frame_id, annotator=annotator, again=True)


def undo_last(connection: Connection, annotator: str) -> Command | None:
    """Take back what an annotator did last and has not taken back, whatever it was; None for nothing."""
    event, last = newest_event(connection, annotator), _newest_command(connection, annotator)
    if last is not None and (event is None or last.event_id >= event.id):
        connection.execute(update(commands).where(commands.c.id == last.id).values(undone=1))
        done = Command(*(getattr(last, name) for name in _NAMES))
        if done.kind == BATCH:
            done = replace(done, events=_events_of(connection, last.id))
        _TAKEN_BACK[done.kind](connection, done, annotator)
        return done
    if event is None:
        return None
    kind = undo_label(connection, event)
    _unpass(connection, event.frame_id, annotator)
    return Command(kind, event.frame_id)


def _undo_skip(connection: Connection, done: Command, annotator: str) -> None:
    _unpass(connection, done.frame_id, annotator)


def _undo_again(connection: Connection, done: Command, annotator: str) -> None:
    """The image is skipped as it was; a further undo takes back that."""
    if done.frame_id is None:
        return
    mine = (commands.c.annotator == annotator) & (commands.c.frame_id == done.frame_id) & (commands.c.kind == SKIP)
    newest = select(func.max(commands.c.id)).where(mine).scalar_subquery()
    connection.execute(update(commands).where(commands.c.id == newest).values(undone=0))
    pass_image(connection, done.frame_id, annotator=annotator)


def _undo_drawing(connection: Connection, done: Command, annotator: str) -> None:
    if done.annotation_id is not None and (drawing := find_event(connection, done.annotation_id)) is not None:
        undo_annotation(connection, drawing, annotator=annotator)


def _undo_unit(connection: Connection, done: Command, _annotator: str) -> None:
    if done.unit_label_id is not None:
        undo_unit_label(connection, done.unit_label_id)


def _undo_class(connection: Connection, done: Command, _annotator: str) -> None:
    if done.class_id is not None:
        remove_unused_class(connection, done.class_id)


def _undo_batch(connection: Connection, done: Command, annotator: str) -> None:
    """Each image has the label again that it had; the last event is taken back first."""
    found = select(labels.c.id, labels.c.frame_id).where(labels.c.id.in_(done.events), labels.c.frame_id > 0)
    for event_id, frame_id in connection.execute(found.order_by(labels.c.id.desc())).all():
        undo_label(connection, Event(event_id, frame_id, annotator))
        _unpass(connection, frame_id, annotator)


def _events_of(connection: Connection, command_id: int) -> tuple[int, ...]:
    """The labels that a command gave and that nobody has taken back."""
    undoing = labels.alias("undoing")
    statement = select(command_events.c.event_id).where(command_events.c.command_id == command_id)
    statement = statement.where(~exists().where(undoing.c.undoes == command_events.c.event_id))
    return tuple(connection.execute(statement).scalars())


_TAKEN_BACK: dict[str, Callable[[Connection, Command, str], None]] = {
    SKIP: _undo_skip,
    AGAIN: _undo_again,
    ANNOTATE: _undo_drawing,
    UNIT: _undo_unit,
    CLASS: _undo_class,
    BATCH: _undo_batch,
}
"""How each kind of command is undone that is not an event of labels."""


def _newest_command(connection: Connection, annotator: str) -> Row[Any] | None:
    """The last command that stands, but for labels; of an image that is there."""
    rows = [connection.execute(_of_kind(kind).where(commands.c.annotator == annotator)).first() for kind in _TAKEN_BACK]
    return max((row for row in rows if row is not None), key=lambda row: int(row.id), default=None)


_is_there: ColumnElement[bool] = or_(commands.c.frame_id.is_(None), exists().where(frames.c.id == commands.c.frame_id))


def _of_kind(kind: str) -> Select[Any]:
    stands = (commands.c.kind == literal_column(f"'{kind}'"), commands.c.undone == literal_column("0"), _is_there)
    columns = (commands.c.id, commands.c.event_id, *(commands.c[name] for name in _NAMES))
    return select(*columns).where(*stands).order_by(commands.c.id.desc()).limit(1)


def _unpass(connection: Connection, frame_id: int | None, annotator: str) -> None:
    """Show an image again, unless a skip of it stands."""
    here = (skips.c.frame_id == frame_id) & (skips.c.annotator == annotator)
    stands = exists().where(_SKIPPED, commands.c.frame_id == skips.c.frame_id, commands.c.annotator == annotator)
    connection.execute(delete(skips).where(here, ~stands))
