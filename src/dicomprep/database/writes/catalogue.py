"""Write the catalogue: every image gets its position in the order of labeling and in its series, once."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from sqlalchemy import Connection, delete, exists, func, or_, select, text, true

from dicomprep.database.bulk import any_of, insert, look_up
from dicomprep.database.consensus import decided_label
from dicomprep.database.page_schema import catalogue, catalogue_counts
from dicomprep.database.queries.frames import Choice, is_chosen
from dicomprep.database.schema import files, frames, groups

__all__ = ["BATCH_IMAGES", "TRAINABLE", "add_images", "reconcile", "refresh_labels"]

BATCH_IMAGES = 20_000
"""Images added in one transaction; bounds how long a run that is recording waits."""

SERIES_SLOTS = 2**21
"""Positions of an instance for its frames within its series; bounds the frames of an instance."""

DRAWS = 1_000_000

TRAINABLE = Choice()
"""What is labeled unless something else is asked for."""


class _NewImage(NamedTuple):
    frame_id: int
    frame_number: int
    file_id: int
    group_id: int
    study_id: str
    modality: str | None
    series_instance_uid: str | None
    frame_count: int
    instance_number: int | None


@dataclass(slots=True, kw_only=True)
class CatalogueRow:
    """A row of `catalogue` for an unlabeled image."""

    frame_id: int
    group_id: int
    study_id: str
    modality: str | None
    series: int
    slot: int
    position: float
    draw: int
    wanted: int = 1
    votes: int = 0
    disputed: int = 0


@dataclass(slots=True, kw_only=True)
class CatalogueCountRow:
    """A row of `catalogue_counts`."""

    group_id: int
    frames: int


_OF_FRAMES = {"frame_id": frames.c.id, "frame_number": frames.c.frame_number, "file_id": files.c.id}
_NEW = (
    select(*(_OF_FRAMES[name] if name in _OF_FRAMES else files.c[name] for name in _NewImage._fields))
    .select_from(frames.join(files).join(groups))
    .where(files.c.duplicate_of.is_(None))
    .order_by(frames.c.id)
)
_IN_CATALOGUE = exists().where(catalogue.c.frame_id == frames.c.id)
_FRAMES = select(frames.c.id).select_from(frames.join(files).join(groups))
_COUNTS = select(catalogue_counts.c.group_id, catalogue_counts.c.frames).where(any_of(catalogue_counts.c.group_id))

_REFRESH_LABELS = text(f"""
UPDATE catalogue SET
    votes = (SELECT count(*) FROM standing WHERE standing.frame_id = catalogue.frame_id),
    disputed = (SELECT count(DISTINCT label) FROM standing WHERE standing.frame_id = catalogue.frame_id),
    first_by = (SELECT annotator FROM standing WHERE standing.frame_id = catalogue.frame_id ORDER BY event_id LIMIT 1),
    label = {decided_label("catalogue.frame_id")}
WHERE frame_id BETWEEN :first AND :last AND frame_id IN (SELECT frame_id FROM standing)
""")  # noqa: S608


def refresh_labels(connection: Connection, frame_ids: Sequence[int]) -> None:
    """Let the catalogue say what is `current_labels` of images that got labels otherwise than by new events."""
    connection.execute(_REFRESH_LABELS, [{"first": frame_id, "last": frame_id} for frame_id in frame_ids])


def add_images(connection: Connection, wanted: Choice = TRAINABLE) -> int:
    """Take up to `BATCH_IMAGES` images that came since the last time into the catalogue; how many there were.

    The first image of every patient comes before the second of any, in a shuffled order that stays.
    """
    newest = connection.execute(select(func.max(catalogue.c.frame_id))).scalar() or 0
    new = _NEW.where(frames.c.id > newest, is_chosen(wanted))
    came = [_NewImage(*row) for row in connection.execute(new.limit(BATCH_IMAGES))]
    if came:
        _add(connection, came)
    return len(came)


def reconcile(connection: Connection, wanted: Choice = TRAINABLE) -> None:
    """Leave out unlabeled duplicates, and images that are not wanted; take in what is neither any more."""
    unwanted = _FRAMES.where(or_(files.c.duplicate_of.is_not(None), is_chosen(wanted).is_not(true())))
    connection.execute(delete(catalogue).where(catalogue.c.votes == 0, catalogue.c.frame_id.in_(unwanted)))
    newest = connection.execute(select(func.max(catalogue.c.frame_id))).scalar() or 0
    missed = [
        _NewImage(*row)
        for row in connection.execute(_NEW.where(frames.c.id < newest, ~_IN_CATALOGUE, is_chosen(wanted)))
    ]
    if missed:
        _add(connection, missed)


def _add(connection: Connection, new: Sequence[_NewImage]) -> None:
    by_group: dict[int, list[_NewImage]] = defaultdict(list)
    for image in new:
        by_group[image.group_id].append(image)
    before: dict[int, int] = dict(look_up(connection, _COUNTS, list(by_group)))
    rows = [row for group_id, images in by_group.items() for row in _rows(images, before.get(group_id, 0))]
    rows.sort(key=lambda row: row.frame_id)
    insert(connection, catalogue, rows, key=("frame_id",), replace=False)
    counts = [
        CatalogueCountRow(group_id=group_id, frames=before.get(group_id, 0) + len(images))
        for group_id, images in by_group.items()
    ]
    insert(connection, catalogue_counts, counts, key=("group_id",), replace=True)
    connection.execute(_REFRESH_LABELS, {"first": new[0].frame_id, "last": new[-1].frame_id})


def _rows(images: Sequence[_NewImage], before: int) -> Iterator[CatalogueRow]:
    """The rows of new images of one patient, who has `before` images in the catalogue."""
    shuffled = sorted((_number(f"frame {image.frame_id}"), image) for image in images)
    for rank, (drawn, image) in enumerate(shuffled, before):
        slot = max(-(2**40), min(2**40, image.instance_number or 0)) * SERIES_SLOTS + image.frame_number
        is_cine = not image.series_instance_uid or image.frame_count != 1  # a series of its own
        series = image.file_id if is_cine else image.series_instance_uid
        yield CatalogueRow(
            frame_id=image.frame_id,
            group_id=image.group_id,
            study_id=image.study_id,
            modality=image.modality,
            series=_signed(_number(f"series {series}")),
            slot=slot,
            position=rank + (drawn % DRAWS) / DRAWS,
            draw=drawn // DRAWS % DRAWS,
        )


def _number(words: str) -> int:
    """64 bits that look random and are always the same."""
    return int.from_bytes(blake2b(words.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def _signed(number: int) -> int:
    return number - 2**63
