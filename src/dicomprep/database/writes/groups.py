"""Groups that turn out to be one patient: assigned to one split, unless labeled."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, bindparam, delete, or_, select, update

from dicomprep.config import TEST
from dicomprep.database.bulk import any_of, insert, look_up
from dicomprep.database.connection import read_meta
from dicomprep.database.kinship import Kin, find_kin
from dicomprep.database.queries.judged import is_judged
from dicomprep.database.schema import aliases, files, frames, groups, links
from dicomprep.models import Instance
from dicomprep.privacy.draws import reveal_draw
from dicomprep.splits import SplitRule

__all__ = ["IMPORTED", "NEW", "PINNED", "WHERE", "Move"]
__all__ += ["ensure_groups", "forget_lost_kin", "join_groups", "resolve", "take_back"]

IMPORTED, WHERE = PINNED = ("imported", "where")
"""Why a group is in its split: a table or a condition says so, for all that are one with it, too."""

NEW = "new"
"""Why a group is in its split while its delivery is still under way: it was drawn, and is yet to be settled."""

_GROUPS = select(groups.c.key, groups.c.id).where(any_of(groups.c.key))
_ALIASES = select(aliases.c.key, aliases.c.kind, aliases.c.group_id).where(any_of(aliases.c.key))
_LABELED: Select[int] = (
    select(files.c.group_id).select_from(frames.join(files)).distinct().where(is_judged, any_of(files.c.group_id))
)
_CHANGE = (
    update(groups)
    .where(groups.c.id == bindparam("group"))
    .values(joined_id=bindparam("head"), split=bindparam("side"), drawn_split=bindparam("drawn"))
)


@dataclass(slots=True, kw_only=True)
class GroupRow:
    """A row of `groups`, without what is resolved later: its id and what it is joined with."""

    key: str
    kind: str
    split: str
    split_reason: str
    draw: int | None
    bare_draw: int | None
    run_id: int


@dataclass(slots=True, kw_only=True)
class AliasRow:
    """A row of `aliases`."""

    key: str
    kind: str
    group_id: int


@dataclass(slots=True, kw_only=True)
class LinkRow:
    """A row of `links`."""

    group_id: int
    other_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Move:
    """A group that changed its split."""

    group_id: int
    before: str
    after: str
    is_new: bool = False
    """Recorded first by this run."""


def ensure_groups(
    connection: Connection, instances: Sequence[Instance], rule: SplitRule, run_id: int
) -> tuple[dict[str, int], list[Move]]:
    """The ids of all groups among the instances, by `Instance.group_key`; groups that share a study are joined.

    Also returns the groups that changed their split.

    A group that an earlier release recorded under another key keeps that key.
    """
    met = ((i.group_key, i.group_kind, i.former_key, i.issuerless_key, i.study_key) for i in instances if i.group_key)
    distinct = dict.fromkeys(met)  # in the order of arrival, as groups are numbered
    former = _find_former(connection, {row[0]: row[2] for row in distinct if row[2]})
    kinds = {key: kind for key, kind, *_ in distinct if key not in former}
    ids = dict(look_up(connection, _GROUPS, list(kinds)))
    new = [key for key in kinds if key not in ids]
    first = {i.group_key: i for i in reversed(instances)} if new else {}
    rows = [_new_row(first[key], rule, run_id) for key in new]
    insert(connection, groups, rows, key=("key",), replace=False)
    ids |= former | dict(look_up(connection, _GROUPS, new))
    known_as = {(key, "key", ids[key]) for key in former}
    known_as |= {(issuerless, "issuer", ids[key]) for key, _, _, issuerless, _ in distinct if issuerless}
    known_as |= {(study, "study", ids[key]) for key, _, _, _, study in distinct if study and study != key}
    known_as -= {(row[0], row[1], row[2]) for row in look_up(connection, _ALIASES, list({row[0] for row in known_as}))}
    added = [AliasRow(key=key, kind=kind, group_id=group_id) for key, kind, group_id in sorted(known_as)]
    insert(connection, aliases, added, key=("key", "kind", "group_id"), replace=False)
    changed = {ids[key] for key in new} | {row[2] for row in known_as}
    return ids, resolve(connection, changed, key=rule.key, run_id=run_id)


def _new_row(instance: Instance, rule: SplitRule, run_id: int) -> GroupRow:
    key, bare = instance.group_key, instance.bare_draw
    return GroupRow(
        key=key,
        kind=instance.group_kind,
        split=rule.split(instance.group_kind, instance.draw),
        split_reason=NEW,
        draw=rule.hide_draw(key, instance.draw),
        bare_draw=None if bare is None else rule.hide_draw(key, bare),
        run_id=run_id,
    )


def join_groups(
    connection: Connection, pairs: Iterable[tuple[int, int]], *, key: bytes, run_id: int | None, reason: str = "image"
) -> list[Move]:
    """Assign groups that are one patient (pairs of their ids) to one split; returns those that changed theirs.

    The reason is recorded, so that it can be reverted. `run_id` is this run; groups that it recorded first may move.
    """
    found = sorted({(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1] and all(pair)})
    rows = [LinkRow(group_id=one, other_id=other, reason=reason) for one, other in found]
    insert(connection, links, rows, key=("group_id", "other_id", "reason"), replace=False)
    return resolve(connection, {number for pair in found for number in pair}, key=key, run_id=run_id)


def forget_lost_kin(connection: Connection) -> None:
    """Remove aliases and links of groups that do not exist: a new group may get the id of a lost one."""
    known = select(groups.c.id)
    connection.execute(delete(aliases).where(aliases.c.group_id.not_in(known)))
    connection.execute(delete(links).where(or_(links.c.group_id.not_in(known), links.c.other_id.not_in(known))))
    connection.execute(update(groups).where(groups.c.joined_id.not_in(known)).values(joined_id=None))


def take_back(connection: Connection, *, key: bytes, reason: str) -> tuple[list[tuple[int, int]], list[Move]]:
    """Separate groups joined only for this reason; returns their pairs, and those that changed their split."""
    of_reason = links.c.reason == reason
    pairs = [
        (row[0], row[1]) for row in connection.execute(select(links.c.group_id, links.c.other_id).where(of_reason))
    ]
    connection.execute(delete(links).where(of_reason))
    return pairs, resolve(connection, {number for pair in pairs for number in pair}, key=key, run_id=None)


def resolve(connection: Connection, changed: Collection[int], *, key: bytes, run_id: int | None) -> list[Move]:
    """Assign each set of groups that are one patient, among those connected with `changed`, to one split.

    A set has the split of one of its groups: the one with the smallest draw, of those outside of test if there are any.
    That is the split it was drawn for, so nothing depends on the order of arrival. If any of them is labeled, no
    group that an earlier run recorded changes its split.
    """
    if not changed:
        return []
    found = find_kin(connection, changed)
    lone = [members for members in found if len(members) == 1 and members[0].joined_id is None]
    sets = [members for members in found if members not in lone]
    everyone = [group.id for members in sets for group in members]
    labeled = {row[0] for row in look_up(connection, _LABELED, everyone)} if everyone else set()
    rows: list[dict[str, object]] = []
    moves: list[Move] = []
    for members in sets:
        head = _head(members, key)
        for group, side in _sides(members, head, labeled, run_id, key).items():
            joined = head.id if len(members) > 1 else None
            drawn = None if side == group.drawn else group.drawn
            if (joined, side, drawn) != (group.joined_id, group.split, group.drawn_split):
                rows.append({"group": group.id, "head": joined, "side": side, "drawn": drawn})
            if side != group.split:
                moves.append(Move(group.id, group.split, side, is_new=run_id is not None and group.run_id == run_id))
    if rows:
        connection.execute(_CHANGE, rows)
    return moves


def _head(members: Sequence[Kin], key: bytes) -> Kin:
    """The group whose split a set has."""
    pinned = [group for group in members if group.split_reason in PINNED]
    candidates = pinned or [group for group in members if not group.explained] or members
    return min(candidates, key=lambda group: (group.drawn == TEST, _rank(group, key)))


def _sides(members: Sequence[Kin], head: Kin, labeled: set[int], run_id: int | None, key: bytes) -> Mapping[Kin, str]:
    """The split of each group of a set."""
    if labeled.isdisjoint(group.id for group in members):
        return dict.fromkeys(members, head.drawn)
    fixed = [group for group in members if group.run_id != run_id or run_id is None or group.id in labeled]
    side = min(fixed, key=lambda group: (group.split == TEST, _rank(group, key))).split
    return {group: group.split if group in fixed else side for group in members}


def _rank(group: Kin, key: bytes) -> tuple[int, str]:
    """Which group of a set comes first: by its draw; in data sets without a seed by its key, as ever."""
    return 0 if group.draw is None else reveal_draw(key, group.key, group.draw), group.key


def _find_former(connection: Connection, former_keys: Mapping[str, str]) -> dict[str, int]:
    """The ids of groups that earlier releases recorded, by their present key."""
    last = read_meta(connection, "last_former_group") if former_keys else None
    if last is None:
        return {}
    known = {
        key: number for key, number in look_up(connection, _GROUPS, list(former_keys.values())) if number <= int(last)
    }
    return {key: known[former] for key, former in former_keys.items() if former in known}
