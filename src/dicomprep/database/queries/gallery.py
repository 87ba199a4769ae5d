"""What the gallery and the page of one image read: windows of many images, where an image comes from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal_column, select

from dicomprep.database.page_schema import catalogue, prediction_summary
from dicomprep.database.queries.releases import of_gravest
from dicomprep.database.schema import files, frames, groups, labels
from dicomprep.models import Transform

__all__ = [
    "Filter",
    "LabelEvent",
    "Origin",
    "Tile",
    "choices",
    "find_anchors",
    "find_origin",
    "find_transform",
    "label_events",
    "list_tiles",
]

_DIGEST = select(frames.c.digest).where(frames.c.id == catalogue.c.frame_id).correlate(catalogue).scalar_subquery()
_SPLIT = select(groups.c.split).where(groups.c.id == catalogue.c.group_id).scalar_subquery()
STATES = ("labelled", "unlabelled", "disputed")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which images are shown; empty: all of them."""

    study: str = ""
    modality: str = ""
    split: str = ""
    state: str = ""
    label: str = ""
    prediction: str = ""
    risk: str = ""
    """Of text in the pixels: none, low or high."""
    patient: str = ""
    """Of one patient: the id of an image of his."""
    model: str = ""

    @classmethod
    def of(cls, asked: dict[str, str], *, model: str) -> "Filter":
        """From what a page asks for; what is no filter is left out."""
        names = {field.name for field in fields(cls)} - {"model"}
        return cls(model=model, **{name: value for name, value in asked.items() if name in names})


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


def list_tiles(connection: Connection, wanted: Filter, *, start: int, limit: int, skip: int = 0) -> list[Tile]:
    """Up to `limit` images from the id `start` on, without the first `skip` of them."""
    columns = (catalogue.c.frame_id, catalogue.c.label, catalogue.c.modality, _SPLIT, _DIGEST)
    statement = _filtered(select(*columns), connection, wanted).where(catalogue.c.frame_id >= start)
    statement = statement.order_by(catalogue.c.frame_id).limit(limit).offset(skip)
    return [Tile(*row) for row in connection.execute(statement)]


def find_anchors(connection: Connection, wanted: Filter, *, every: int) -> tuple[int, list[int]]:
    """How many images there are, and the id of every `every`th, so that any place among them is found at once."""
    number = (func.row_number().over(order_by=catalogue.c.frame_id) - 1).label("number")
    numbered = _filtered(select(catalogue.c.frame_id, number), connection, wanted).subquery()
    statement = select(numbered.c.frame_id, numbered.c.number).where(numbered.c.number % every == 0)
    anchors = [frame_id for frame_id, _ in connection.execute(statement.order_by(numbered.c.frame_id))]
    if not anchors:
        return 0, []
    last = _filtered(select(func.count()), connection, wanted).where(catalogue.c.frame_id >= anchors[-1])
    rest = int(connection.execute(last).scalar_one())
    return (len(anchors) - 1) * every + rest, anchors


def choices(connection: Connection, *, model: str) -> dict[str, list[str]]:
    """What can be filtered by: the modalities, labels and predicted classes that there are."""
    modality = select(files.c.modality).where(files.c.modality.is_not(None)).distinct().order_by(files.c.modality)
    label = select(catalogue.c.label).where(catalogue.c.label.is_not(None)).distinct().order_by(catalogue.c.label)
    return {
        "modality": list(connection.execute(modality).scalars()),
        "label": [name for name in connection.execute(label).scalars() if name],
        "prediction": list(_predicted_classes(connection, model)) if model else [],
    }


def _predicted_classes(connection: Connection, model: str) -> Iterator[str]:
    """The classes that a model finds likeliest of some image, found from one to the next along an index."""
    statement = select(func.min(prediction_summary.c.label)).where(prediction_summary.c.model == model)
    name = connection.execute(statement).scalar()
    while name is not None:
        yield name
        name = connection.execute(statement.where(prediction_summary.c.label > name)).scalar()


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
    columns = (labels.c.label, labels.c.annotator, labels.c.created_at, labels.c.undoes)
    statement = select(*columns).where(labels.c.frame_id == frame_id).order_by(labels.c.id)
    return [LabelEvent(*row) for row in connection.execute(statement)]


def _filtered(statement: Select[Any], connection: Connection, wanted: Filter) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = []
    for name, column in (
        ("study", catalogue.c.study_id),
        ("modality", catalogue.c.modality),
        ("label", catalogue.c.label),
    ):
        if value := getattr(wanted, name):
            conditions.append(column == value)
    if wanted.split:
        conditions.append(catalogue.c.group_id.in_(select(groups.c.id).where(groups.c.split == wanted.split)))
    if wanted.state in STATES:
        conditions.append(_in_state(wanted.state))
    if wanted.risk:
        statement = statement.join(frames, frames.c.id == catalogue.c.frame_id)
        conditions.append(of_gravest("burned_in") == wanted.risk)
    if wanted.patient:
        conditions.append(catalogue.c.group_id == _group_of(connection, wanted.patient))
    if wanted.prediction:
        statement = statement.join(prediction_summary, prediction_summary.c.frame_id == catalogue.c.frame_id)
        conditions += [prediction_summary.c.model == wanted.model, prediction_summary.c.label == wanted.prediction]
    return statement.select_from(catalogue).where(*conditions)


def _in_state(state: str) -> ColumnElement[bool]:
    if state == "disputed":
        return catalogue.c.label.is_not(None) & (catalogue.c.disputed > literal_column("1"))
    return catalogue.c.label.is_(None) if state == "unlabelled" else catalogue.c.label.is_not(None)


def _group_of(connection: Connection, frame_id: str) -> int:
    number = int(frame_id) if frame_id.isascii() and frame_id.isdigit() and len(frame_id) < 19 else 0
    return connection.execute(select(catalogue.c.group_id).where(catalogue.c.frame_id == number)).scalar() or -1
