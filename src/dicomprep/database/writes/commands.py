"""What annotators did by the pages, in order: what is sent twice counts once, and an undo finds the last."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, exists, func, select, update

from dicomprep.database.page_schema import commands, skips
from dicomprep.database.queries.labeling import newest_event
from dicomprep.database.schema import frames, labels
from dicomprep.database.writes.labels import pass_image, undo_label
from dicomprep.database.writes.rows import now

__all__ = ["Command", "find_command", "note_command", "show_again", "undo_last"]

SKIP = "skip"
_SKIPPED = (commands.c.kind == SKIP) & (commands.c.undone == 0)


@dataclass(frozen=True, slots=True)
class Command:
    """Something that an annotator did."""

    kind: str
    """label, skip, again or undo."""
    frame_id: int | None
    """None: an undo that found nothing."""


def find_command(connection: Connection, annotator: str, key: str | None) -> Command | None:
    """What was done already under this id, if anything was."""
    if key is None:
        return None
    mine = (commands.c.annotator == annotator) & (commands.c.key == key)
    row = connection.execute(select(commands.c.kind, commands.c.frame_id).where(mine)).first()
    return None if row is None else Command(row[0], row[1])


def note_command(connection: Connection, done: Command, *, annotator: str, key: str | None) -> None:
    """Note what was done; only skips, which no event of labels tells of, are noted without an id."""
    if key is None and done.kind != SKIP:
        return
    row = {
        "annotator": annotator,
        "key": key,
        "kind": done.kind,
        "frame_id": done.frame_id,
        "event_id": connection.execute(select(func.max(labels.c.id)).where(labels.c.annotator == annotator)).scalar()
        or 0,
        "undone": 0,
        "created_at": now(),
    }
    connection.execute(commands.insert().values(row))


def show_again(connection: Connection, frame_id: int, *, annotator: str) -> None:
    """Take back that an annotator skipped an image."""
    mine = _SKIPPED & (commands.c.annotator == annotator) & (commands.c.frame_id == frame_id)
    connection.execute(update(commands).where(mine).values(undone=1))
    pass_image(connection, frame_id, annotator=annotator, again=True)


def undo_last(connection: Connection, annotator: str) -> Command | None:
    """Take back what an annotator did last and has not taken back, a label or a skip; None where there is nothing."""
    event = newest_event(connection, annotator)
    skipped = select(commands.c.id, commands.c.frame_id, commands.c.event_id).where(_SKIPPED, _is_there)
    skipped = skipped.where(commands.c.annotator == annotator).order_by(commands.c.id.desc())
    skip = connection.execute(skipped.limit(1)).first()
    if skip is not None and (event is None or skip.event_id >= event.id):
        connection.execute(update(commands).where(commands.c.id == skip.id).values(undone=1))
        _unpass(connection, skip.frame_id, annotator)
        return Command(SKIP, skip.frame_id)
    if event is None:
        return None
    undo_label(connection, event)
    _unpass(connection, event.frame_id, annotator)
    return Command("label", event.frame_id)


_is_there: ColumnElement[bool] = exists().where(frames.c.id == commands.c.frame_id)


def _unpass(connection: Connection, frame_id: int, annotator: str) -> None:
    """Show an image again, unless a skip of it stands."""
    here = (skips.c.frame_id == frame_id) & (skips.c.annotator == annotator)
    stands = exists().where(_SKIPPED, commands.c.frame_id == skips.c.frame_id, commands.c.annotator == annotator)
    connection.execute(delete(skips).where(here, ~stands))
