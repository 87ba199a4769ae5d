"""What the gallery and the page of one image read: windows of many images, where an image comes from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from dicomprep.database.count_schema import input_counts
from dicomprep.database.page_schema import catalogue, prediction_summary
from dicomprep.database.queries.filters import SPLIT, Filter, plain_conditions
from dicomprep.database.queries.releases import of_gravest
from dicomprep.database.schema import files, frames, groups, labels
from dicomprep.models import Transform

__all__ = [
    "LabelEvent",
    "Origin",
    "Tile",
    "choices",
    "count_images",
    "find_origin",
    "find_transform",
    "label_events",
    "list_tiles",
    "next_image",
]

_DIGEST = select(frames.c.digest).where(frames.c.id == catalogue.c.frame_id).correlate(catalogue).scalar_subquery()
_LABEL = catalogue.c.label


@dataclass(frozen=True, slots=True)
class Tile:
    """An image in the gallery."""

    id: int
    label: str | None
    modality: str | None
    split: str
    digest: bytes | None


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
    columns = (catalogue.c.frame_id, catalogue.c.label, catalogue.c.modality, SPLIT, _DIGEST)
    statement = _filtered(select(*columns), connection, wanted, start=start, end=end)
    statement = statement.order_by(catalogue.c.frame_id).limit(limit).offset(skip)
    return [Tile(*row) for row in connection.execute(statement)]


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
