"""What the labeling page reads of images and labels, and how far everyone is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, exists, func, or_, select

from dicomprep.database.page_schema import catalogue, current_labels, skips
from dicomprep.database.queries.frames import Choice, is_chosen
from dicomprep.database.queries.releases import holds, is_held
from dicomprep.database.schema import files, frames, groups, labels

__all__ = [
    "Card",
    "Event",
    "Situation",
    "any_new",
    "count_catalogue",
    "count_labels",
    "count_own_labels",
    "current_label",
    "describe",
    "find_situation",
    "neighbors",
    "newest_event",
    "own_history",
    "own_label",
    "own_skips",
]


@dataclass(frozen=True, slots=True)
class Card:
    """What the page shows of an image."""

    id: int
    filename: str
    frame_number: int
    digest: bytes
    frame_count: int
    modality: str | None
    study_id: str
    split: str
    mine: str | None
    """How this annotator labeled it."""
    unsure: int | None
    note: str | None
    """What he wrote beside it."""
    series: int | None
    """None: the image is not in the catalogue."""
    slot: int | None
    view: str | None
    laterality: str | None


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the log of labels."""

    id: int
    frame_id: int
    annotator: str


def describe(connection: Connection, frame_ids: Sequence[int], *, annotator: str) -> list[Card]:
    """What the page shows of images, in the order of their ids in `frame_ids`; hidden duplicates are left out."""
    own = labels.alias("own")
    newest = select(func.max(own.c.id)).where(own.c.frame_id == frames.c.id, own.c.annotator == annotator)
    columns = (
        *(frames.c[name] for name in ("id", "filename", "frame_number", "digest")),
        *(files.c[name] for name in ("frame_count", "modality", "study_id")),
        *(groups.c.split, current_labels.c.label, labels.c.unsure, labels.c.note),
        *(catalogue.c.series, catalogue.c.slot, files.c.view_position, files.c.laterality),
    )
    mine = (current_labels.c.frame_id == frames.c.id) & (current_labels.c.annotator == annotator)
    joined = frames.join(files, files.c.id == frames.c.file_id).join(groups, groups.c.id == files.c.group_id)
    joined = joined.outerjoin(catalogue, catalogue.c.frame_id == frames.c.id).outerjoin(current_labels, mine)
    said = labels.c.id == newest.correlate(frames).scalar_subquery()
    statement = select(*columns).select_from(joined.outerjoin(labels, said))
    statement = statement.where(frames.c.id.in_(frame_ids), files.c.duplicate_of.is_(None))
    rows: list[tuple[Any, ...]] = [tuple(row) for row in connection.execute(statement)]
    cards = {row[0]: Card(*row) for row in rows}
    return [cards[frame_id] for frame_id in frame_ids if frame_id in cards]


def neighbors(connection: Connection, card: Card, *, each_way: int) -> list[int]:
    """Images before and after one in its series or cine, itself among them, in their order."""
    if card.series is None or card.slot is None:
        return [card.id]
    series = select(catalogue.c.frame_id, catalogue.c.slot).where(catalogue.c.series == card.series)
    slot, frame_id = catalogue.c.slot, catalogue.c.frame_id
    before = series.where(slot <= card.slot, or_(slot < card.slot, frame_id < card.id))
    before = before.order_by(slot.desc(), frame_id.desc()).limit(each_way)
    after = series.where(slot >= card.slot, or_(slot > card.slot, frame_id >= card.id))
    after = after.order_by(slot, frame_id).limit(each_way + 1)
    earlier = connection.execute(before).scalars().all()
    return [*reversed(earlier), *connection.execute(after).scalars()]


def own_history(connection: Connection, annotator: str, *, limit: int, before: int | None = None) -> list[Event]:
    """The images that an annotator labeled last and that are still so, the last one first; those `before` an event."""
    columns = (current_labels.c.event_id, current_labels.c.frame_id)
    statement = select(*columns).where(current_labels.c.annotator == annotator)
    if before is not None:
        statement = statement.where(current_labels.c.event_id < before)
    rows = connection.execute(statement.order_by(current_labels.c.event_id.desc()).limit(limit))
    return [Event(row[0], row[1], annotator) for row in rows]


def own_label(connection: Connection, frame_id: int, annotator: str) -> str | None:
    """How an annotator labeled an image."""
    mine = (current_labels.c.frame_id == frame_id) & (current_labels.c.annotator == annotator)
    return connection.execute(select(current_labels.c.label).where(mine)).scalar()


def own_skips(connection: Connection, annotator: str, *, limit: int, after: int = 0) -> list[int]:
    """Images that an annotator skipped and has not labeled, in the order of their ids."""
    mine = select(skips.c.frame_id).where(skips.c.annotator == annotator, skips.c.frame_id > after)
    labeled = exists().where(current_labels.c.frame_id == skips.c.frame_id, current_labels.c.annotator == annotator)
    return list(connection.execute(mine.where(~labeled).order_by(skips.c.frame_id).limit(limit)).scalars())


@dataclass(frozen=True, slots=True)
class Situation:
    """What is to be said of an image that somebody opens, before it is labeled."""

    original: int | None
    """The image of which it is a hidden duplicate."""
    is_listed: bool
    """Whether it is in the catalogue."""
    kind: str
    is_skipped: bool
    is_held: bool


def find_situation(connection: Connection, frame_id: int, annotator: str) -> Situation | None:
    """None where there is no such image."""
    shown = frames.alias("original")
    same = (shown.c.file_id == files.c.duplicate_of) & (shown.c.frame_number == frames.c.frame_number)
    skipped = exists().where(skips.c.frame_id == frames.c.id, skips.c.annotator == annotator)
    listed = exists().where(catalogue.c.frame_id == frames.c.id)
    joined = frames.join(files, files.c.id == frames.c.file_id).outerjoin(shown, same)
    columns = (shown.c.id, listed, func.coalesce(files.c.kind, "original"), skipped, is_held())
    row = connection.execute(select(*columns).select_from(joined).where(frames.c.id == frame_id)).first()
    if row is None:
        return None
    return Situation(row[0], bool(row[1]), row[2], bool(row[3]), holds(connection) and bool(row[4]))


def any_new(connection: Connection, wanted: Choice) -> bool:
    """Whether there are wanted images that the catalogue has not yet."""
    newest = connection.execute(select(func.max(catalogue.c.frame_id))).scalar() or 0
    new = select(frames.c.id).select_from(frames.join(files).join(groups)).where(frames.c.id > newest)
    return connection.execute(new.where(files.c.duplicate_of.is_(None), is_chosen(wanted)).limit(1)).first() is not None


def newest_event(connection: Connection, annotator: str) -> Event | None:
    """What an annotator did last and has not taken back: that is what an undo takes back."""
    undoing = labels.alias("undoing")
    mine = (labels.c.annotator == annotator) & labels.c.undoes.is_(None) & (labels.c.frame_id > 0)
    stands = ~exists().where(undoing.c.undoes == labels.c.id)
    statement = select(labels.c.id, labels.c.frame_id).where(mine, stands).order_by(labels.c.id.desc()).limit(1)
    row = connection.execute(statement).first()
    return None if row is None else Event(row[0], row[1], annotator)


def current_label(connection: Connection, frame_id: int) -> str | None:
    """The label of an image that counts, whoever gave it."""
    statement = select(catalogue.c.label).where(catalogue.c.frame_id == frame_id)
    return connection.execute(statement).scalar()


def count_catalogue(connection: Connection) -> int:
    """How many images the catalogue holds. It takes a while where there are many: not for every request."""
    return int(connection.execute(select(func.count()).select_from(catalogue)).scalar_one())


def count_labels(connection: Connection) -> dict[str, int]:
    """How many images have each label now."""
    statement = select(catalogue.c.label, func.count()).where(catalogue.c.label.is_not(None))
    return {row[0]: row[1] for row in connection.execute(statement.group_by(catalogue.c.label))}


def count_own_labels(connection: Connection, annotator: str) -> int:
    """How many images an annotator has labeled. It takes a while where there are many: not for every request."""
    statement = select(func.count()).select_from(current_labels).where(current_labels.c.annotator == annotator)
    return int(connection.execute(statement).scalar_one())
