"""Splits that a table names: an explicit wish, for which labeled patients move, too."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.queries.judged import is_judged
from dicomprep.database.schema import files, frames, groups
from dicomprep.database.writes.groups import IMPORTED, PINNED, resolve
from dicomprep.database.writes.settling import settle_folds
from dicomprep.privacy.draws import reveal_draw
from dicomprep.splits import SPLIT_NAMES, TEST, SplitRule

__all__ = ["Assigned", "assign_splits", "decide"]

_COLUMNS = tuple(
    groups.c[name] for name in ("id", "joined_id", "key", "kind", "split", "drawn_split", "draw", "split_reason")
)
_CHANGE = (
    update(groups)
    .where(groups.c.id == bindparam("group"))
    .values(split=bindparam("side"), drawn_split=bindparam("drawn"), split_reason=bindparam("why"))
)
_LABELED = (
    select(files.c.group_id, func.count())
    .select_from(frames.join(files))
    .where(is_judged, any_of(files.c.group_id))
    .group_by(files.c.group_id)
)


@dataclass(frozen=True, slots=True)
class Assigned:
    """What became of patients whose splits a table names."""

    moved: int
    """Groups that are in another split now."""
    left_test: int
    """Of those, how many the table does not name: they were drawn for test, and it holds the table's patients alone."""
    labeled_groups: int
    """Of those that moved, how many have labeled images."""
    labeled_images: int


def _read_sets(connection: Connection) -> dict[int, list[Any]]:
    """All groups by the group that stands for their patient, in the order of their ids."""
    sets: dict[int, list[Any]] = {}
    for row in connection.execute(select(*_COLUMNS).order_by(groups.c.id)):
        sets.setdefault(row.joined_id or row.id, []).append(row)
    return sets


def assign_splits(connection: Connection, wanted: Mapping[int, str], rule: SplitRule, *, closes_test: bool) -> Assigned:
    """Put patients into splits, with all groups that are one with them; `wanted` has groups by id.

    With `closes_test` the test split is that of the table: nobody else stays in it.
    """
    changes = [
        change
        for members in _read_sets(connection).values()
        for change in _changes(members, wanted, rule, closes_test=closes_test)
    ]
    if changes:
        connection.execute(_CHANGE, [change.row for change in changes])
    resolve(connection, list(wanted), key=rule.key, run_id=None)
    settle_folds(connection, rule)
    moved = [change for change in changes if change.moves]
    labeled = dict(look_up(connection, _LABELED, [change.group_id for change in moved]))
    return Assigned(len(moved), sum(c.is_unnamed for c in moved), len(labeled), sum(labeled.values()))


@dataclass(frozen=True, slots=True)
class _Change:
    group_id: int
    before: str
    split: str
    drawn_split: str | None
    why: str | None
    is_unnamed: bool = False

    @property
    def moves(self) -> bool:
        return self.split != self.before

    @property
    def row(self) -> dict[str, Any]:
        return {"group": self.group_id, "side": self.split, "drawn": self.drawn_split, "why": self.why}


def _changes(
    members: Sequence[Any], wanted: Mapping[int, str], rule: SplitRule, *, closes_test: bool
) -> Iterator[_Change]:
    """What changes of groups that are one patient."""
    named = {row.id: wanted[row.id] for row in members if row.id in wanted}
    if named:
        split = decide(named.values())
        for row in members:
            if row.id in named:
                yield _Change(row.id, row.split, split, None, IMPORTED)
            else:
                drawn = row.drawn_split or row.split
                yield _Change(row.id, row.split, split, drawn if drawn != split else None, row.split_reason)
    elif (
        closes_test
        and any(row.split == TEST for row in members)
        and not any(row.split_reason in PINNED for row in members)
    ):
        split = decide(rule.split(row.kind, reveal_draw(rule.key, row.key, row.draw)) for row in members)
        for row in members:
            yield _Change(row.id, row.split, split, None, row.split_reason, is_unnamed=True)


def decide(splits: Iterable[str]) -> str:
    """The split of a patient for whom several are named: train before val, and test only if all say so."""
    return min(splits, key=SPLIT_NAMES.index)
