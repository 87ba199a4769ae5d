"""What an audit reads."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, literal_column, select

from dicomprep.database.bulk import any_of, look_up, scan
from dicomprep.database.count_schema import input_counts as counted
from dicomprep.database.page_schema import current_labels
from dicomprep.database.queries import counts
from dicomprep.database.queries.kinds import is_in_images
from dicomprep.database.schema import files, frames, groups, images

__all__ = [
    "DuplicatePair",
    "away_from_drawn",
    "count_by_kind",
    "count_by_reason",
    "count_classes",
    "count_divided_folds",
    "count_duplicates_within_groups",
    "count_images",
    "divided_joined_groups",
    "divided_patients",
    "divided_studies",
    "duplicate_pairs",
    "find_frames",
    "hashes",
    "joined_sets",
    "keys_and_images",
    "largest_set",
    "splits_of",
]

_FRAMES = (
    select(frames.c.id, frames.c.filename, frames.c.thumbnail_path, groups.c.split)
    .select_from(frames.join(files).join(groups))
    .where(any_of(frames.c.id))
)
_SPLITS = select(groups.c.id, groups.c.split).where(any_of(groups.c.id))
_DRAWN = select(groups.c.id, groups.c.drawn_split).where(any_of(groups.c.id))
_HEADS = select(groups.c.id, groups.c.joined_id).where(any_of(groups.c.id))
_KEYS = select(groups.c.id, groups.c.key).where(any_of(groups.c.id))
_IMAGES = (
    select(counted.c.group_id, func.sum(counted.c.frames))
    .group_by(counted.c.group_id)
    .where(counted.c.is_duplicate == literal_column("0"), any_of(counted.c.group_id))
)
_SIZES = select(groups.c.joined_id, func.count()).group_by(groups.c.joined_id).where(any_of(groups.c.joined_id))


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """How many inputs are duplicates of an input of another group, by both groups."""

    original: int
    group_id: int
    original_group_id: int
    split: str
    original_split: str
    count: int


def count_by_kind(connection: Connection) -> list[tuple[str, str, int]]:
    """(kind, split, groups)."""
    statement = select(groups.c.kind, groups.c.split, func.count()).group_by(groups.c.kind, groups.c.split)
    return [(row[0], row[1], row[2]) for row in connection.execute(statement)]


def count_by_reason(connection: Connection, kind: str) -> dict[tuple[str, str], int]:
    """Groups of a kind by split and why they are in it; "" for what was drawn."""
    why = func.coalesce(groups.c.split_reason, "").label("why")
    counted = select(groups.c.split, why, groups.c.id).where(groups.c.kind == kind).subquery()
    statement = select(counted.c.split, counted.c.why, func.count()).group_by(counted.c.split, counted.c.why)
    return {(row[0], row[1]): row[2] for row in connection.execute(statement)}


def count_images(connection: Connection) -> dict[str, int]:
    """Images by split."""
    return counts.count_by(connection, "split")


def divided_patients(connection: Connection) -> int:
    """Patient keys that occur in two splits."""
    keys = select(groups.c.key).group_by(groups.c.key)
    return _count(connection, keys.having(func.count(groups.c.split.distinct()) > 1))


def divided_joined_groups(connection: Connection) -> int:
    """Sets of groups that were found to be one patient and lie in two splits."""
    joined = select(groups.c.joined_id).where(groups.c.joined_id.is_not(None)).group_by(groups.c.joined_id)
    return _count(connection, joined.having(func.count(groups.c.split.distinct()) > 1))


def count_divided_folds(connection: Connection) -> int:
    """Sets of groups that were found to be one patient and lie in two folds."""
    joined = select(groups.c.joined_id).where(groups.c.joined_id.is_not(None)).group_by(groups.c.joined_id)
    return _count(connection, joined.having(func.count(groups.c.fold.distinct()) > 1))


def joined_sets(connection: Connection) -> tuple[int, int]:
    """How many sets of groups are taken for one patient, and how many groups the largest has."""
    sizes = select(func.count().label("size")).where(groups.c.joined_id.is_not(None)).group_by(groups.c.joined_id)
    found = sizes.subquery()
    count, largest = connection.execute(select(func.count(), func.max(found.c.size))).one()
    return count, largest or 0


def splits_of(connection: Connection, ids: Collection[int]) -> dict[int, str]:
    """The split of each of these groups."""
    return dict(look_up(connection, _SPLITS, sorted(ids)))


def away_from_drawn(connection: Connection, ids: Collection[int]) -> int:
    """How many of these groups are not on the side that they drew."""
    return sum(drawn is not None for _, drawn in look_up(connection, _DRAWN, sorted(ids)))


def largest_set(connection: Connection, ids: Collection[int]) -> int:
    """How many groups the largest of the sets has that these are of."""
    heads = {head for _, head in look_up(connection, _HEADS, sorted(ids)) if head is not None}
    return max((count for _, count in look_up(connection, _SIZES, sorted(heads))), default=0)


def keys_and_images(connection: Connection, ids: Collection[int]) -> dict[int, tuple[str, int]]:
    """(key, images) of groups by id."""
    keys = dict(look_up(connection, _KEYS, sorted(ids)))
    images = {group: int(count) for group, count in look_up(connection, _IMAGES, sorted(ids))}
    return {number: (key, images.get(number, 0)) for number, key in keys.items()}


def divided_studies(connection: Connection) -> list[int]:
    """Of each Study Instance UID that occurs in two splits: of how many groups it is."""
    studies = select(func.count(files.c.group_id.distinct())).select_from(files.join(groups))
    studies = studies.where(files.c.study_instance_uid.is_not(None)).group_by(files.c.study_instance_uid)
    return list(connection.execute(studies.having(func.count(groups.c.split.distinct()) > 1)).scalars())


def count_duplicates_within_groups(connection: Connection) -> int:
    """Inputs that are duplicates of one of the same group."""
    original = files.alias()
    same = and_(original.c.id == files.c.duplicate_of, original.c.group_id == files.c.group_id)
    return int(connection.execute(select(func.count()).select_from(files.join(original, same))).scalar_one())


def duplicate_pairs(connection: Connection) -> list[DuplicatePair]:
    """Duplicates across groups."""
    original, group, theirs = files.alias(), groups.alias(), groups.alias()
    columns = (original.c.id, group.c.id, theirs.c.id, group.c.split, theirs.c.split)
    joined = files.join(original, original.c.id == files.c.duplicate_of)
    joined = joined.join(group, group.c.id == files.c.group_id).join(theirs, theirs.c.id == original.c.group_id)
    statement = select(*columns, func.count()).select_from(joined).where(group.c.id != theirs.c.id).group_by(*columns)
    return [DuplicatePair(*row) for row in connection.execute(statement)]


def hashes(connection: Connection) -> Iterator[Sequence[Sequence[int]]]:
    """(perceptual hash, group id, frame id) of every image in `images` that has one, in lists."""
    statement = select(frames.c.likeness, files.c.group_id, frames.c.id).select_from(frames.join(files))
    shown = (frames.c.likeness.is_not(None), files.c.duplicate_of.is_(None), is_in_images())
    yield from scan(connection, statement.where(*shown))


def find_frames(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[str, str, str]]:
    """(filename, thumbnail path, split) of frames by id."""
    return {row[0]: (row[1], row[2], row[3]) for row in look_up(connection, _FRAMES, ids)}


def count_classes(connection: Connection) -> list[tuple[str, str, int]]:
    """(label, split, images) of what is labeled."""
    labeled = images.c.id.in_(select(current_labels.c.frame_id)) & images.c.label.is_not(None)
    statement = select(images.c.label, images.c.split, func.count()).where(labeled)
    rows = connection.execute(statement.group_by(images.c.label, images.c.split))
    return [(row[0], row[1], row[2]) for row in rows]


def _count(connection: Connection, statement: object) -> int:
    return int(connection.execute(select(func.count()).select_from(statement.subquery())).scalar_one())  # type: ignore[attr-defined]
