"""Freezing a version: its rows are added together, and none of them is changed later."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import insert, select

from dicomprep.database import bulk
from dicomprep.database.annotation_schema import version_annotations
from dicomprep.database.queries.annotations import Annotation
from dicomprep.database.version_schema import version_facts, version_images, version_units, versions
from dicomprep.database.writes.rows import now
from dicomprep.database.writes.store import Store
from dicomprep.errors import ConfigError
from dicomprep.version import VERSION

__all__ = ["Fact", "VersionImage", "add_version"]

BATCH_ROWS = 20_000
"""Rows that are made at a time; they are recorded in one transaction."""


class Fact(NamedTuple):
    """What images of a version have in common."""

    split: str
    fold: int | None
    label: str | None


@dataclass(slots=True)
class VersionImage:
    """An image of a version, as a row."""

    version_id: int
    frame_id: int
    key: bytes
    digest: bytes
    fact: int


@dataclass(slots=True, kw_only=True)
class VersionAnnotation:
    """An annotation of a version, as a row."""

    version_id: int
    frame_id: int
    key: str
    image_key: bytes
    kind: str
    label: str | None
    note: str | None
    annotator: str
    created_at: str
    corners: str


Row = TypeVar("Row", VersionImage, VersionAnnotation)


def add_version(  # noqa: PLR0913  (the columns of a version)
    store: Store,
    name: str,
    *,
    options: Sequence[dict[str, Any]],
    classes: Sequence[str],
    digest: str,
    facts: Sequence[Fact],
    units: Mapping[str, Mapping[str, str]],
    images: Iterable[tuple[int, bytes, bytes, int]],
    drawn: Iterable[tuple[bytes, Annotation]],
    count: int,
) -> None:
    """Record a version of `count` images (frame id, key, digest, number of the fact); ConfigError if the name is taken.

    `units` has the labels of series, studies and patients: by level, by key; `drawn` annotations by the images' keys.
    """
    row = {"name": name, "created_at": now(), "program": VERSION, "images": count, "digest": digest}
    texts = {"options": json.dumps(list(options), sort_keys=True), "classes": json.dumps(list(classes))}
    with store.transaction() as connection:
        if connection.execute(select(versions.c.id).where(versions.c.name == name)).first() is not None:
            raise ConfigError(f"There is a version {name} already, and versions do not change. Choose another name.")
        version_id = connection.execute(insert(versions).values(**row, **texts).returning(versions.c.id)).scalar_one()
        numbered = [{"version_id": version_id, "number": number, **fact._asdict()} for number, fact in enumerate(facts)]
        if numbered:
            connection.execute(insert(version_facts), numbered)
        labeled = [
            {"version_id": version_id, "level": level, "unit_key": key, "label": label}
            for level, labels in units.items()
            for key, label in labels.items()
        ]
        if labeled:
            connection.execute(insert(version_units), labeled)
        for rows in _batches(VersionImage(version_id, *image) for image in images):
            bulk.insert(connection, version_images, rows, key=("version_id", "frame_id"), replace=False)
        for drawings in _batches(_drawing(version_id, image_key, one) for image_key, one in drawn):
            bulk.insert(connection, version_annotations, drawings, key=("version_id", "frame_id", "key"), replace=False)


def _drawing(version_id: int, image_key: bytes, one: Annotation) -> VersionAnnotation:
    drawn = one.drawn
    return VersionAnnotation(
        version_id=version_id,
        frame_id=one.frame_id,
        key=one.key,
        image_key=image_key,
        kind=drawn.shape.kind.value,
        label=drawn.label,
        note=drawn.note or None,
        annotator=one.annotator,
        created_at=one.created_at,
        corners=drawn.shape.to_json(),
    )


def _batches(rows: Iterable[Row]) -> Iterable[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    yield batch
