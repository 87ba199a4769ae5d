"""What annotators did by the pages, in order: what is sent twice counts once, and an undo finds the last."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, exists, func, literal_column, select, update

from dicomprep.database.page_schema import commands, skips
from dicomprep.database.queries.annotations import find_event
from dicomprep.database.queries.labeling import newest_event
from dicomprep.database.schema import frames, labels
from dicomprep.database.writes.annotations import undo_annotation
from dicomprep.database.writes.labels import pass_image, undo_label
from dicomprep.database.writes.rows import now

__all__ = ["ANNOTATE", "Command", "find_command", "note_command", "show_again", "undo_last"]

SKIP, ANNOTATE = "skip", "annotate"
_SKIPPED = (commands.c.kind == SKIP) & (commands.c.undone == 0)


@dataclass(frozen=True, slots=True)
class Command:
    """Something that an annotator did."""

    kind: str
    """label, skip, again, annotate or undo."""
    frame_id: int | None
    """None: an undo that found nothing."""
    annotation_id: int | None = None
    """The event that it added to the log of annotations."""


def find_command(connection: Connection, annotator: str, key: str | None) -> Command | None:
    """What was done already under this id, if anything was."""
    if key is None:
        return None
    mine = (commands.c.annotator == annotator) & (commands.c.key == key)
    row = connection.execute(select(commands.c.kind, commands.c.frame_id).where(mine)).first()
    return None if row is None else Command(row[0], row[1])


def note_command(connection: Connection, done: Command, *, annotator: str, key: str | None) -> None:
    """Note what was done; only what no event of labels tells of is noted without an id."""
    if key is None and done.kind not in (SKIP, ANNOTATE):
        return
    row = {
        "annotator": annotator,
        "key": key,
        "kind": done.kind,
        "frame_id": done.frame_id,
        "event_id": connection.execute(select(func.max(labels.c.id)).where(labels.c.annotator == annotator)).scalar()
        or 0,
        "undone": 0,
        "annotation_id": done.annotation_id,
        "created_at": now(),
    }
    connection.execute(commands.insert().values(row))


def show_again(connection: Connection, frame_id: int, *, annotator: str) -> None:
    """Take back that an annotator skipped an image."""
    mine = _SKIPPED & (commands.c.annotator == annotator) & (commands.c.frame_id == frame_id)
    connection.execute(update(commands).where(mine).values(undone=1))
    pass_image(connection, frame_id, annotator=annotator, again=True)


def undo_last(connection: Connection, annotator: str) -> Command | None:
    """Take back what an annotator did last and has not taken back: a label, a skip or a drawing; None for nothing."""
    event, last = newest_event(connection, annotator), _newest_command(connection, annotator)
    if last is not None and (event is None or last.event_id >= event.id):
        connection.execute(update(commands).where(commands.c.id == last.id).values(undone=1))
        if last.kind == SKIP:
            _unpass(connection, last.frame_id, annotator)
        elif (drawing := find_event(connection, last.annotation_id)) is not None:
            undo_annotation(connection, drawing, annotator=annotator)
        return Command(last.kind, last.frame_id)
    if event is None:
        return None
    undo_label(connection, event)
    _unpass(connection, event.frame_id, annotator)
    return Command("label", event.frame_id)


def _newest_command(connection: Connection, annotator: str) -> Row[Any] | None:
    """The last skip or drawing that stands, of an image that is there."""
    rows = [
        connection.execute(_of_kind(kind).where(commands.c.annotator == annotator)).first() for kind in (SKIP, ANNOTATE)
    ]
    return max((row for row in rows if row is not None), key=lambda row: int(row.id), default=None)


_is_there: ColumnElement[bool] = exists().where(frames.c.id == commands.c.frame_id)


def _of_kind(kind: str) -> Select[Any]:
    names = ("id", "kind", "frame_id", "event_id", "annotation_id")
    stands = (commands.c.kind == literal_column(f"'{kind}'"), commands.c.undone == literal_column("0"), _is_there)
    return select(*(commands.c[name] for name in names)).where(*stands).order_by(commands.c.id.desc()).limit(1)


def _unpass(connection: Connection, frame_id: int, annotator: str) -> None:
    """Show an image again, unless a skip of it stands."""
    here = (skips.c.frame_id == frame_id) & (skips.c.annotator == annotator)
    stands = exists().where(_SKIPPED, commands.c.frame_id == skips.c.frame_id, commands.c.annotator == annotator)
    connection.execute(delete(skips).where(here, ~stands))
