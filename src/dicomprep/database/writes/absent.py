"""Inputs that no longer exist: marked by a run that searched their folder, removed on request (`--prune`)."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, exists, func, select, update

from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.queries.roots import lie_in
from dicomprep.database.schema import aliases, files, frames, groups
from dicomprep.database.writes.duplicates import Duplicates
from dicomprep.database.writes.pictures import Pictures
from dicomprep.database.writes.recovery import add_pending_deletions
from dicomprep.storage.roots import Part
from dicomprep.storage.source import Version

__all__ = ["count_absent", "forget", "forget_empty_groups", "is_damaged", "mark", "next_inputs"]

_ABSENT = files.c.absent_since.is_not(None)
_IMAGES = select(frames.c.thumbnail_path).where(any_of(frames.c.file_id))
_MARK = update(files).where(files.c.id == bindparam("file_id")).values(absent_since=bindparam("since"))
_WITHOUT_IMAGES = delete(frames).where(frames.c.file_id == bindparam("gone"))
_WITHOUT_INPUT = delete(files).where(files.c.id == bindparam("gone"))


def count_absent(connection: Connection, part: Part | None = None) -> int:
    """How many inputs are known to be no longer there, in all or in a part."""
    statement = select(func.count()).select_from(files).where(_ABSENT)
    return int(connection.execute(statement if part is None else statement.where(lie_in(part))).scalar_one())


def next_inputs(connection: Connection, part: Part, *, after: int, limit: int, absent: bool = False) -> Sequence[Any]:
    """(id, path, absent_since, mtime_ns, version_tag) of inputs in a part that follow one, by id.

    `absent`: of the marked alone.
    """
    wanted = lie_in(part) & (files.c.id > after)
    columns = (files.c.id, files.c.path, files.c.absent_since, files.c.mtime_ns, files.c.version_tag)
    statement = select(*columns).where(wanted & _ABSENT if absent else wanted)
    return connection.execute(statement.order_by(files.c.id).limit(limit)).all()


def is_damaged(connection: Connection, archive: Part, version: Version) -> bool:
    """Whether the archive whose members these are could not be read to its end, as it is now."""
    whole = (files.c.path == f"{archive.prefix}.") | files.c.path.endswith("!/.")
    same = files.c.mtime_ns == version.mtime_ns
    same &= func.coalesce(files.c.version_tag, "").endswith(version.tag, autoescape=True)
    statement = select(files.c.id).where(lie_in(archive), whole, same).limit(1)
    return connection.execute(statement).first() is not None


def mark(connection: Connection, file_ids: Sequence[int], run_id: int | None) -> None:
    """Record that a run did not find these inputs; None: they are there."""
    if file_ids:
        connection.execute(_MARK, [{"file_id": file_id, "since": run_id} for file_id in file_ids])


def forget(connection: Connection, file_ids: Sequence[int], pictures: Pictures, *, key: bytes) -> list[str]:
    """Remove the rows of inputs and of their images; the images' paths, which are noted until they are removed.

    What annotators did waits for its picture. A duplicate takes the place of an original, with what was its own.
    """
    pictures.set_aside_all(file_ids)
    stale = [row[0] for row in look_up(connection, _IMAGES, file_ids)]
    duplicates = Duplicates(connection, pictures.run_id, key)
    duplicates.release_duplicates_of(file_ids)
    gone = [{"gone": file_id} for file_id in file_ids]
    connection.execute(_WITHOUT_IMAGES, gone)
    connection.execute(_WITHOUT_INPUT, gone)
    duplicates.resolve(())
    pictures.hand_over((), duplicates.surfaced)
    add_pending_deletions(connection, stale)
    return stale


def forget_empty_groups(connection: Connection) -> None:
    """Remove groups of whom no input is left, but for those that are one with another.

    Inputs have no index by group, for every run would pay for it; here one is made for as long as it takes.
    """
    connection.exec_driver_sql("CREATE INDEX files_by_group ON files (group_id)")
    empty = groups.c.joined_id.is_(None) & ~exists().where(files.c.group_id == groups.c.id)
    of_empty = aliases.c.group_id.in_(select(groups.c.id).where(empty))
    connection.execute(delete(aliases).where(of_empty))
    connection.execute(delete(groups).where(empty))
    connection.exec_driver_sql("DROP INDEX files_by_group")
