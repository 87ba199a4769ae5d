"""Patients that an audit found to be one, moved to one split: tried first, within bounds, and reversible."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from dicomprep.checks.audit.section import Section
from dicomprep.database.queries import audit as queries
from dicomprep.database.queries.options import last_splits
from dicomprep.database.writes.groups import Move, join_groups, take_back
from dicomprep.database.writes.settling import settle_folds
from dicomprep.database.writes.splits import recorded_splits
from dicomprep.errors import ConfigError, count_of
from dicomprep.splits import SplitRule
from dicomprep.workspace import Workspace

__all__ = ["Joining", "MovedPatient", "join", "unjoin"]

MAX_JOINED_PATIENTS = 20
MAX_JOINED_SHARE = 0.02
"""Patients that may move or be merged unless more are allowed: this number, or this share of all if that is more."""

REASON = "audit"
"""Why two groups are linked, in the table `links`."""


@dataclass(frozen=True, slots=True)
class MovedPatient:
    """A group that changes its split."""

    patient_key: str
    before: str
    after: str
    images: int


@dataclass(frozen=True, slots=True)
class Joining:
    """What joining, or taking it back, does."""

    moved: tuple[MovedPatient, ...]
    largest: int = 0
    """Patients in the largest set that is merged."""
    divided: int = 0
    """Pairs that stay in two splits, because they are labeled."""

    @property
    def images(self) -> int:
        """Images that change their split."""
        return sum(patient.images for patient in self.moved)


class _Tried(Exception):
    """Ends a transaction that shall leave nothing behind."""


def join(
    workspace: Workspace, sections: Sequence[Section], *, most: int | None = None, dry_run: bool = False
) -> Joining:
    """Move patients that an audit found to be one to the same split. Labeled ones stay.

    Raises ConfigError, and changes nothing, where more than `most` patients would move or be merged, or a split would
    be left without images.
    """
    pairs = [pair for section in sections for pair in section.pairs]
    key = workspace.key

    def change(connection: Connection) -> Joining:
        images = queries.count_images(connection)
        wanted = _across(pairs, queries.splits_of(connection, {number for pair in pairs for number in pair}))
        moves = join_groups(connection, wanted, key=key, run_id=None, reason=REASON)
        involved = {number for pair in wanted for number in pair}
        splits = queries.splits_of(connection, involved)
        divided = sum(splits[one] != splits[other] for one, other in wanted)
        joining = Joining(_moved(connection, moves), queries.largest_set(connection, involved), divided)
        _require_bounds(connection, joining, most)
        _require_images(images, queries.count_images(connection))
        return joining

    return _run(workspace, change, dry_run=dry_run)


def unjoin(workspace: Workspace, *, dry_run: bool = False) -> Joining:
    """Undo `join`: patients that are in another split because of it alone go back. Labeled ones stay."""
    key = workspace.key

    def change(connection: Connection) -> Joining:
        pairs, moves = take_back(connection, key=key, reason=REASON)
        drawn = queries.away_from_drawn(connection, {number for pair in pairs for number in pair})
        return Joining(_moved(connection, moves), divided=drawn)

    return _run(workspace, change, dry_run=dry_run)


def _run(workspace: Workspace, change: Callable[[Connection], Joining], *, dry_run: bool) -> Joining:
    tried: Joining | None = None
    try:
        with workspace.writing() as store, store.transaction() as connection:
            tried = change(connection)
            settle_folds(connection, SplitRule(workspace.key, recorded_splits(connection, last_splits(connection))))
            if dry_run:
                raise _Tried
    except _Tried:
        pass
    assert tried is not None  # noqa: S101  (else an error has left this)
    return tried


def _across(pairs: Iterable[tuple[int, int]], splits: Mapping[int, str]) -> list[tuple[int, int]]:
    """The pairs in sets that lie in more than one split: the others need not be touched."""
    left = sorted({*pairs})
    reached = {number for pair in left if splits[pair[0]] != splits[pair[1]] for number in pair}
    found: list[tuple[int, int]] = []
    while more := [pair for pair in left if not reached.isdisjoint(pair)]:
        found += more
        reached |= {number for pair in more for number in pair}
        left = [pair for pair in left if reached.isdisjoint(pair)]
    return found


def _moved(connection: Connection, moves: Collection[Move]) -> tuple[MovedPatient, ...]:
    known = queries.keys_and_images(connection, [move.group_id for move in moves])
    found = [(*known[move.group_id], move) for move in moves]
    return tuple(MovedPatient(key, move.before, move.after, images) for key, images, move in sorted(found, key=str))


def _require_bounds(connection: Connection, joining: Joining, most: int | None) -> None:
    patients = sum(count for _, _, count in queries.count_by_kind(connection))
    bound = max(MAX_JOINED_PATIENTS, int(MAX_JOINED_SHARE * patients)) if most is None else most
    needed = max(len(joining.moved), joining.largest)
    if needed > bound:
        moved = f"{count_of(len(joining.moved), 'patient')} with {count_of(joining.images, 'image')}"
        what = f"{moved} would move, and {joining.largest:,} would be merged: more than {bound:,}"
        remedy = f"List them with --join --dry-run --most {needed}; to proceed: --join --most {needed}"
        raise ConfigError(f"{what}. Forms or test patterns may be the reason. Nothing was changed. {remedy}.")


def _require_images(before: Mapping[str, int], after: Mapping[str, int]) -> None:
    emptied = [split for split, count in before.items() if count and not after.get(split)]
    if emptied:
        raise ConfigError(
            f"No images would be left in {', '.join(sorted(emptied))}. Nothing was changed. Review the pairs: if each "
            "is one patient, start again with another --split; if not, leave them."
        )
