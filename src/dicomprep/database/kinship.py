"""Which groups are one patient: by their images, their studies, and their Patient ID with and without an issuer."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from sqlalchemy import Connection, select

from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.schema import aliases, groups, links

__all__ = ["MAX_CROWD_GROUPS", "MAX_STUDY_GROUPS", "Kin", "find_kin"]

MAX_STUDY_GROUPS = 4
"""Groups that share a Study Instance UID and count as one patient; a UID of more may be made up and joins nobody."""

MAX_CROWD_GROUPS = 20
"""Groups up to which a shared Study Instance UID may still be one study; a UID of more was made up."""


@dataclass(frozen=True, slots=True)
class Kin:
    """A group and where it stands."""

    id: int
    key: str
    kind: str
    split: str
    joined_id: int | None
    run_id: int | None
    drawn_split: str | None
    split_reason: str | None
    draw: int | None
    """Hidden under the key; None in data sets without a seed."""
    explained: bool = False
    """It has no ID of its own, but its study has: that of another of the set, for whom it need not stand."""

    @property
    def drawn(self) -> str:
        """The side that it had before it was joined with others."""
        return self.drawn_split or self.split


_COLUMNS = [groups.c[name] for name in ("id", "key", "kind", "split", "joined_id", "run_id", "drawn_split")]
_COLUMNS += [groups.c.split_reason, groups.c.draw]
_BY_ID = select(*_COLUMNS).where(any_of(groups.c.id))
_BY_JOINED = select(groups.c.id).where(any_of(groups.c.joined_id))
_BY_KEY = select(groups.c.key, groups.c.id).where(any_of(groups.c.key))
_ALIASES_OF = select(aliases.c.group_id, aliases.c.key, aliases.c.kind).where(any_of(aliases.c.group_id))
_ALIASED = select(aliases.c.key, aliases.c.kind, aliases.c.group_id).where(any_of(aliases.c.key))
_LINKED = (
    select(links.c.group_id, links.c.other_id).where(any_of(links.c.group_id)),
    select(links.c.group_id, links.c.other_id).where(any_of(links.c.other_id)),
)


def find_kin(connection: Connection, changed: Collection[int]) -> list[list[Kin]]:
    """The sets of groups that are one patient, of all that hang or hung together with those that `changed`.

    Groups that share a study are one patient, unless there are more than MAX_STUDY_GROUPS. A Patient ID without an
    issuer may be that of any issuer: it is one with all of them.
    """
    known: dict[int, Kin] = {}
    edges: set[tuple[int, int]] = set()
    explained: set[int] = set()
    left = set(changed)
    while left:
        step = {row[0]: Kin(*row) for row in look_up(connection, _BY_ID, sorted(left))}
        known |= step
        if not step:
            break
        found = {(a, b) for query in _LINKED for a, b in look_up(connection, query, list(step))}
        named = _by_name(connection, list(step.values()), explained)
        edges |= found | named
        roots = {group.joined_id or group.id for group in step.values()}
        before = roots | {row[0] for row in look_up(connection, _BY_JOINED, sorted(roots))}
        left = ({number for edge in found | named for number in edge} | before) - known.keys()
    sets = _connected(known, (edge for edge in edges if edge[0] in known and edge[1] in known))
    return [[replace(known[n], explained=n in explained) for n in sorted(members)] for members in sets]


def _by_name(connection: Connection, step: Sequence[Kin], explained: set[int]) -> set[tuple[int, int]]:
    """Pairs of groups that have a key or a study in common with `step`."""
    keys = {group.key for group in step}
    keys |= {row[1] for row in look_up(connection, _ALIASES_OF, [group.id for group in step])}
    owners: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for key, kind, group_id in look_up(connection, _ALIASED, sorted(keys)):
        owners[key, kind].add(group_id)
    own = dict(look_up(connection, _BY_KEY, sorted(keys)))
    pairs: set[tuple[int, int]] = set()
    for key in keys:
        name = owners[key, "key"] | ({own[key]} if key in own else set())
        issued, students = owners[key, "issuer"], owners[key, "study"]
        pairs |= set(_chain(name | issued)) if name else set()
        if 1 < len(name | students) <= MAX_STUDY_GROUPS and students:
            pairs |= set(_chain(name | students))
            explained |= name
    return pairs


def _chain(members: Collection[int]) -> Iterator[tuple[int, int]]:
    ordered = sorted(members)
    return pairwise(ordered)


def _connected(members: Iterable[int], pairs: Iterable[tuple[int, int]]) -> list[set[int]]:
    """What hangs together."""
    sets: dict[int, set[int]] = {number: {number} for number in members}
    for a, b in pairs:
        if sets[a] is not sets[b]:
            merged = sets[a] | sets[b]
            sets |= dict.fromkeys(merged, merged)
    return list({id(found): found for found in sets.values()}.values())
