"""What the gallery and the page of one image read: windows of many images, where an image comes from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from dicomprep.database.count_schema import input_counts
from dicomprep.database.page_schema import catalogue, current_labels, prediction_summary, skips
from dicomprep.database.queries.filters import SPLIT, Filter, plain_conditions
from dicomprep.database.queries.releases import holds, is_held, of_gravest
from dicomprep.database.schema import files, frames, groups, labels
from dicomprep.models import Transform

__all__ = [
    "LabelEvent",
    "Origin",
    "Sort",
    "Tile",
    "choices",
    "count_images",
    "find_origin",
    "find_tiles",
    "find_transform",
    "held_images",
    "label_events",
    "list_tiles",
    "next_image",
    "skipped_images",
    "sort_keys",
]


def _of_frame(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return select(column).where(frames.c.id == catalogue.c.frame_id).correlate(catalogue).scalar_subquery()


_LABEL = catalogue.c.label
_UNSURE = (
    select(func.max(labels.c.unsure))
    .join(current_labels, current_labels.c.event_id == labels.c.id)
    .where(current_labels.c.frame_id == catalogue.c.frame_id)
    .correlate(catalogue)
    .scalar_subquery()
)
_TILE = (
    *(catalogue.c.frame_id, catalogue.c.label, catalogue.c.modality, SPLIT),
    *(_of_frame(frames.c.digest), _of_frame(frames.c.filename), _UNSURE),
)


class Sort(StrEnum):
    """In which order images are shown."""

    OLDEST = ""
    NEWEST = "newest"
    NAME = "name"
    LABELED = "labeled"
    """The ones that were labeled last, first."""
    UNCERTAIN = "uncertain"
    """Those of which the model is least sure, first."""
    SCORE = "score"
    """Those of which the model is most sure, first."""


@dataclass(frozen=True, slots=True)
class Tile:
    """An image in the gallery."""

    id: int
    label: str | None
    modality: str | None
    split: str
    digest: bytes | None
    name: str | None
    unsure: int | None
    """1 where one of its readers is unsure."""


@dataclass(frozen=True, slots=True)
class Origin:
    """An image and the file that it is of."""

    id: int
    name: str
    frame_number: int
    frame_count: int
    study_id: str
    modality: str | None
    split: str
    patient_key: str
    width: int
    height: int
    root: str
    path: str
    run_id: int
    view: str | None
    laterality: str | None
    body_part: str | None
    risk: str | None
    risk_reasons: str | None
    digest: bytes


@dataclass(frozen=True, slots=True)
class LabelEvent:
    """An entry of the log of labels."""

    label: str | None
    annotator: str
    created_at: str
    undoes: int | None
    unsure: int
    note: str | None


def list_tiles(
    connection: Connection, wanted: Filter, *, start: int, limit: int, skip: int = 0, end: int | None = None
) -> list[Tile]:
    """Up to `limit` images with ids from `start` to before `end`, without the first `skip` of them."""
    statement = _filtered(select(*_TILE), connection, wanted, start=start, end=end)
    statement = statement.order_by(catalogue.c.frame_id).limit(limit).offset(skip)
    return [Tile(*row) for row in connection.execute(statement)]


def find_tiles(connection: Connection, frame_ids: Sequence[int]) -> list[Tile]:
    """Images by their ids, in the order of these."""
    rows = connection.execute(select(*_TILE).where(catalogue.c.frame_id.in_(frame_ids)))
    tiles = {row[0]: Tile(*row) for row in rows}
    return [tiles[frame_id] for frame_id in frame_ids if frame_id in tiles]


def sort_keys(connection: Connection, wanted: Filter, sort: Sort, *, start: int, end: int) -> list[tuple[int, Any]]:
    """(id, what it is sorted by, None comes last) of images with ids from `start` to before `end`."""
    statement = _filtered(
        select(catalogue.c.frame_id, _sort_key(sort, wanted)), connection, wanted, start=start, end=end
    )
    return [(row[0], row[1]) for row in connection.execute(statement)]


def held_images(connection: Connection, frame_ids: Sequence[int]) -> set[int]:
    """Of images those that are held back until somebody has looked at them, one at a time."""
    if not holds(connection):
        return set()
    return set(connection.execute(select(frames.c.id).where(frames.c.id.in_(frame_ids), is_held())).scalars())


def skipped_images(connection: Connection, frame_ids: Sequence[int], annotator: str) -> set[int]:
    """Of images those that an annotator skipped."""
    mine = (skips.c.annotator == annotator) & skips.c.frame_id.in_(frame_ids)
    return set(connection.execute(select(skips.c.frame_id).where(mine)).scalars())


def _sort_key(sort: Sort, wanted: Filter) -> ColumnElement[Any]:
    """What comes first has the least."""
    if sort is Sort.LABELED:
        newest = select(-func.max(current_labels.c.event_id)).where(current_labels.c.frame_id == catalogue.c.frame_id)
        return newest.correlate(catalogue).scalar_subquery()
    if sort is Sort.NAME:
        return _of_frame(frames.c.filename)
    column = prediction_summary.c.margin if sort is Sort.UNCERTAIN else -prediction_summary.c.score
    mine = (prediction_summary.c.frame_id == catalogue.c.frame_id) & (prediction_summary.c.model == wanted.model)
    return select(column).where(mine).correlate(catalogue).scalar_subquery()


def count_images(connection: Connection, wanted: Filter, *, start: int, end: int) -> int:
    """How many images there are with ids from `start` to before `end`."""
    statement = _filtered(select(func.count()), connection, wanted, start=start, end=end)
    return int(connection.execute(statement).scalar_one())


def next_image(connection: Connection, start: int) -> int | None:
    """The first id from `start` on, of whatever image."""
    return connection.execute(select(func.min(catalogue.c.frame_id)).where(catalogue.c.frame_id >= start)).scalar()


def choices(connection: Connection, *, model: str) -> dict[str, list[str]]:
    """What can be filtered by: the modalities, labels and predicted classes that there are."""
    modality = select(input_counts.c.modality).where(input_counts.c.files > 0, input_counts.c.modality != "")
    predicted = select(func.min(prediction_summary.c.label)).where(prediction_summary.c.model == model)
    return {
        "modality": sorted(connection.execute(modality.distinct()).scalars()),
        "label": [
            name for name in _along(connection, select(func.min(_LABEL)).where(_LABEL.is_not(None)), _LABEL) if name
        ],
        "prediction": list(_along(connection, predicted, prediction_summary.c.label)) if model else [],
    }


def _along(connection: Connection, least: Select[Any], column: ColumnElement[Any]) -> Iterator[str]:
    """The values that an index has of a column, found from one to the next, however often each occurs."""
    name = connection.execute(least).scalar()
    while name is not None:
        yield name
        name = connection.execute(least.where(column > name)).scalar()


def find_origin(connection: Connection, frame_id: int) -> Origin | None:
    """An image and its file; None where there is no such image."""
    columns = (
        frames.c.id,
        frames.c.filename,
        frames.c.frame_number,
        files.c.frame_count,
        files.c.study_id,
        files.c.modality,
        groups.c.split,
        groups.c.key,
        frames.c.width,
        frames.c.height,
        files.c.root,
        files.c.path,
        files.c.run_id,
        files.c.view_position,
        files.c.laterality,
        files.c.body_part,
        of_gravest("burned_in"),
        of_gravest("burned_in_reasons"),
        frames.c.digest,
    )
    statement = select(*columns).select_from(frames.join(files).join(groups)).where(frames.c.id == frame_id)
    row = connection.execute(statement).first()
    return None if row is None else Origin(*tuple(row))


def find_transform(connection: Connection, frame_id: int) -> Transform:
    """How a thumbnail was made."""
    recorded = connection.execute(select(frames.c.transform).where(frames.c.id == frame_id)).scalar_one()
    return Transform.from_json(recorded)


def label_events(connection: Connection, frame_id: int) -> Sequence[LabelEvent]:
    """All that was said of an image, the first first."""
    columns = (labels.c[name] for name in ("label", "annotator", "created_at", "undoes", "unsure", "note"))
    statement = select(*columns).where(labels.c.frame_id == frame_id).order_by(labels.c.id)
    return [LabelEvent(*row) for row in connection.execute(statement)]


def _filtered(
    statement: Select[Any], connection: Connection, wanted: Filter, *, start: int, end: int | None
) -> Select[Any]:
    """Of the wanted images those with ids from `start` to before `end`."""
    conditions = [*_between(catalogue.c.frame_id, start, end), *plain_conditions(connection, wanted)]
    if wanted.risk:
        statement = statement.join(frames, frames.c.id == catalogue.c.frame_id)
        conditions.append(of_gravest("burned_in") == wanted.risk)
    if wanted.prediction:
        statement = statement.join(prediction_summary, prediction_summary.c.frame_id == catalogue.c.frame_id)
        conditions += [prediction_summary.c.model == wanted.model, prediction_summary.c.label == wanted.prediction]
        conditions += _between(prediction_summary.c.frame_id, start, end)
    return statement.select_from(catalogue).where(*conditions)


def _between(column: ColumnElement[int], start: int, end: int | None) -> Iterator[ColumnElement[bool]]:
    yield column >= start
    if end is not None:
        yield column < end
