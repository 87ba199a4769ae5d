"""Groups by the keyed hashes that a table's identifiers give, and all groups for an export of splits."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, func, literal_column, select

from dicomprep.database.bulk import any_of, look_up, scan
from dicomprep.database.schema import aliases, files, frames, groups

__all__ = ["RecordedGroup", "groups_by_frame", "groups_by_key", "groups_of_patients", "heads_of", "recorded_groups"]

_BY_KEY = select(groups.c.key, groups.c.id).where(any_of(groups.c.key))
_BY_ALIAS = select(aliases.c.key, aliases.c.group_id).where(
    aliases.c.kind != literal_column("'study'"), any_of(aliases.c.key)
)
_BY_FRAME = select(frames.c.id, files.c.group_id).select_from(frames.join(files)).where(any_of(frames.c.id))


def groups_of_patients(connection: Connection, keys: Sequence[str]) -> Iterator[tuple[str, int]]:
    """(key, group) of patients: an ID without an issuer may be that of any, as far as its groups are recorded."""
    for query in (_BY_KEY, _BY_ALIAS):
        yield from ((row[0], row[1]) for row in look_up(connection, query, keys))


def groups_by_key(connection: Connection, column: str, keys: Sequence[str]) -> Iterator[tuple[str, int]]:
    """(key, group) of groups by their own `key`, or by the `study_key` or `series_key` of their files."""
    if column == "key":
        yield from ((row[0], row[1]) for row in look_up(connection, _BY_KEY, keys))
        return
    wanted = set(keys)
    by_file = files.c[column]
    known = select(by_file, files.c.group_id).where(by_file.is_not(None), files.c.group_id.is_not(None)).distinct()
    for rows in scan(connection, known):  # there is no index: a table names most of them anyway
        yield from ((key, group_id) for key, group_id in rows if key in wanted)


def groups_by_frame(connection: Connection, frame_ids: Sequence[int]) -> dict[int, int]:
    """The group of each of these images."""
    return dict(look_up(connection, _BY_FRAME, frame_ids))


class RecordedGroup(NamedTuple):
    """A group and where it is."""

    id: int
    key: str
    kind: str
    group_key: str
    split: str
    fold: int | None
    draw: int | None
    """Hidden under the key, as `bare_draw`."""
    bare_draw: int | None


def recorded_groups(connection: Connection, splits: Sequence[str]) -> list[RecordedGroup]:
    """The groups of these splits, or of all, in the order of their keys, which says nothing of who they are."""
    heads = groups.alias("heads")
    joined = groups.join(heads, heads.c.id == func.coalesce(groups.c.joined_id, groups.c.id))
    own = (groups.c.id, groups.c.key, groups.c.kind, heads.c.key, groups.c.split, groups.c.fold)
    statement = select(*own, groups.c.draw, groups.c.bare_draw).select_from(joined).order_by(groups.c.key)
    if splits:
        statement = statement.where(groups.c.split.in_(splits))
    return [RecordedGroup(*row) for row in connection.execute(statement)]


def heads_of(connection: Connection) -> dict[int, int]:
    """The group that stands for the patient of each group that is one with others."""
    statement = select(groups.c.id, groups.c.joined_id).where(groups.c.joined_id.is_not(None))
    return {row[0]: row[1] for row in connection.execute(statement)}
