"""Groups that turn out to be one patient: put on one side, as long as nobody has labelled them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, bindparam, select, update

from dicomprep.config import GroupBy
from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.connect import read_meta, write_meta
from dicomprep.database.schema import files, frames, groups, labels
from dicomprep.errors import ConfigError

__all__ = ["bind_unit", "join_groups"]


@dataclass(slots=True)
class _Group:
    id: int
    key: str
    split: str
    joined_id: int | None
    run_id: int | None

    @property
    def root(self) -> int:
        """The group that stands for all that are joined with this one."""
        return self.joined_id or self.id


_COLUMNS = tuple(groups.c[name] for name in _Group.__dataclass_fields__)
_BY_ID = select(*_COLUMNS).where(any_of(groups.c.id))
_BY_JOINED = select(*_COLUMNS).where(any_of(groups.c.joined_id))
_LABELLED: Select[int] = (
    select(files.c.group_id)
    .select_from(labels.join(frames, frames.c.id == labels.c.frame_id).join(files))
    .distinct()
    .where(any_of(files.c.group_id))
)


def bind_unit(connection: Connection, group_by: GroupBy) -> None:
    """Record what is never divided; ConfigError where the data set was begun with something else."""
    known = read_meta(connection, "group_by")
    if known is not None and known != group_by:
        message = f"This data set is divided by {known}: --group-by {group_by} would put old and new files of one"
        raise ConfigError(f"{message} patient into two splits. Give --group-by {known}, or another --db.")
    if known is None:
        write_meta(connection, "group_by", group_by.value)


def join_groups(connection: Connection, pairs: Iterable[tuple[int, int]], *, run_id: int | None) -> int:
    """Put groups that are one patient (pairs of their ids) on one side; how many changed theirs.

    Of all that are joined, one stands for the rest: the one with the least key, of those outside of test if there are
    any. That does not depend on the order in which they came. Where something of them has labels, no group changes its
    side that an earlier run recorded. `run_id` is this run; groups that it recorded first may still be placed.
    """
    pairs = [pair for pair in pairs if pair[0] != pair[1]]
    if not pairs:
        return 0
    known = {row[0]: _Group(*row) for row in look_up(connection, _BY_ID, sorted({i for pair in pairs for i in pair}))}
    found = [(known[a], known[b]) for a, b in pairs if {a, b} <= known.keys()]
    unsettled = [(a.root, b.root) for a, b in found if (a.root, a.split) != (b.root, b.split)]
    return sum(_join(connection, sorted(roots), run_id) for roots in _connected(unsettled))


def _connected(pairs: Iterable[tuple[int, int]]) -> list[set[int]]:
    """What hangs together."""
    sets: dict[int, set[int]] = {}
    for a, b in pairs:
        merged = sets.get(a, {a}) | sets.get(b, {b})
        sets |= dict.fromkeys(merged, merged)
    return list({id(members): members for members in sets.values()}.values())


def _join(connection: Connection, roots: Sequence[int], run_id: int | None) -> int:
    members = {row[0]: _Group(*row) for query in (_BY_ID, _BY_JOINED) for row in look_up(connection, query, roots)}
    head = min((members[root] for root in roots), key=_standing)
    statement = update(groups).where(groups.c.id == bindparam("member"))
    ids = [{"member": member} for member in members]
    connection.execute(statement.values(joined_id=head.id), ids)
    movable, split = _movable(connection, list(members.values()), head, run_id)
    moves = [{"member": group.id} for group in movable if group.split != split]
    if moves:
        connection.execute(statement.values(split=split), moves)
    return len(moves)


def _movable(
    connection: Connection, members: Sequence[_Group], head: _Group, run_id: int | None
) -> tuple[Sequence[_Group], str]:
    """The groups that may change their side, and where to."""
    labelled = {row[0] for row in look_up(connection, _LABELLED, [group.id for group in members])}
    if not labelled:
        return members, head.split
    fixed = [group for group in members if group.run_id != run_id or run_id is None or group.id in labelled]
    return [group for group in members if group not in fixed], min(fixed, key=_standing).split


def _standing(group: _Group) -> tuple[bool, str]:
    return group.split == "test", group.key
