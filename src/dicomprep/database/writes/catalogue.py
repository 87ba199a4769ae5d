"""Writing the catalogue: every image gets its place in the order of labelling and in its series, once."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, delete, exists, func, select, text

from dicomprep.database.bulk import any_of, insert, look_up
from dicomprep.database.page_schema import catalogue, catalogue_counts
from dicomprep.database.schema import files, frames, groups

__all__ = ["CHUNK", "add_images", "reconcile_duplicates", "refresh_labels"]

CHUNK = 20_000
"""Images added in one transaction: a run that is recording waits for no more than that."""

SLOTS = 2**21
"""Places that an instance has for its frames among its series."""

DRAWS = 1_000_000

_NEW = (
    select(
        frames.c.id,
        frames.c.frame_number,
        files.c.id,
        files.c.group_id,
        files.c.study_id,
        files.c.modality,
        files.c.series_instance_uid,
        files.c.frame_count,
        files.c.instance_number,
    )
    .select_from(frames.join(files).join(groups))
    .where(files.c.duplicate_of.is_(None))
    .order_by(frames.c.id)
)
_IN_CATALOGUE = exists().where(catalogue.c.frame_id == frames.c.id)
_DUPLICATES = select(frames.c.id).select_from(frames.join(files)).where(files.c.duplicate_of.is_not(None))
_COUNTS = select(catalogue_counts.c.group_id, catalogue_counts.c.frames).where(any_of(catalogue_counts.c.group_id))

_TAKE_OVER_LABELS = text("""
UPDATE catalogue SET
    votes = (SELECT count(*) FROM standing WHERE standing.frame_id = catalogue.frame_id),
    disputed = (SELECT count(DISTINCT label) FROM standing WHERE standing.frame_id = catalogue.frame_id),
    first_by = (SELECT annotator FROM standing WHERE standing.frame_id = catalogue.frame_id ORDER BY event_id LIMIT 1),
    label = (SELECT label FROM standing WHERE standing.frame_id = catalogue.frame_id ORDER BY event_id DESC LIMIT 1)
WHERE frame_id BETWEEN :first AND :last AND frame_id IN (SELECT frame_id FROM standing)
""")


def refresh_labels(connection: Connection, frame_ids: Sequence[int]) -> None:
    """Let the catalogue say what is `current_labels` of images that got labels otherwise than by new events."""
    connection.execute(_TAKE_OVER_LABELS, [{"first": frame_id, "last": frame_id} for frame_id in frame_ids])


def add_images(connection: Connection) -> int:
    """Take up to `CHUNK` images that came since the last time into the catalogue; how many there were.

    The first image of every patient comes before the second of any, in a shuffled order that stays.
    """
    newest = connection.execute(select(func.max(catalogue.c.frame_id))).scalar() or 0
    rows = connection.execute(_NEW.where(frames.c.id > newest).limit(CHUNK)).all()
    if rows:
        _take(connection, rows)
    return len(rows)


def reconcile_duplicates(connection: Connection) -> None:
    """Leave out what has turned out to be a duplicate and has no label; take in what is none any more."""
    connection.execute(delete(catalogue).where(catalogue.c.votes == 0, catalogue.c.frame_id.in_(_DUPLICATES)))
    newest = connection.execute(select(func.max(catalogue.c.frame_id))).scalar() or 0
    missed = connection.execute(_NEW.where(frames.c.id < newest, ~_IN_CATALOGUE)).all()
    if missed:
        _take(connection, missed)


def _take(connection: Connection, rows: Sequence[Any]) -> None:
    by_group: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        by_group[row[3]].append(row)
    before: dict[int, int] = dict(look_up(connection, _COUNTS, list(by_group)))
    places = [place for group_id, members in by_group.items() for place in _places(members, before.get(group_id, 0))]
    places.sort()
    insert(connection, catalogue, places, key=("frame_id",), replace=False)
    counts: list[tuple[object, ...]] = [
        (group_id, before.get(group_id, 0) + len(members)) for group_id, members in by_group.items()
    ]
    insert(connection, catalogue_counts, counts, key=("group_id",), replace=True)
    connection.execute(_TAKE_OVER_LABELS, {"first": rows[0][0], "last": rows[-1][0]})


def _places(members: Sequence[Any], before: int) -> Iterable[tuple[object, ...]]:
    """The columns of `catalogue` for new images of one patient, who has `before` images in it."""
    shuffled = sorted((_number(f"frame {row[0]}"), row) for row in members)
    for rank, (drawn, row) in enumerate(shuffled, before):
        (
            frame_id,
            frame_number,
            file_id,
            group_id,
            study_id,
            modality,
            series_uid,
            frame_count,
            instance_number,
        ) = row
        position = rank + (drawn % DRAWS) / DRAWS
        slot = max(-(2**40), min(2**40, instance_number or 0)) * SLOTS + frame_number
        series = series_uid if series_uid and frame_count == 1 else file_id  # a cine is a series of its own
        place = (_signed(_number(f"series {series}")), slot, position, drawn // DRAWS % DRAWS)
        yield (frame_id, group_id, study_id, modality, *place, 1, 0, 0, None, None)


def _number(words: str) -> int:
    """64 bits that look random and are always the same."""
    return int.from_bytes(blake2b(words.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def _signed(number: int) -> int:
    return number - 2**63
