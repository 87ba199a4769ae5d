"""Freezing a version: its rows are added together, and none of them is changed later."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select

from dicomprep.database import bulk
from dicomprep.database.version_schema import version_facts, version_images, versions
from dicomprep.database.writes.rows import now
from dicomprep.database.writes.store import Store
from dicomprep.errors import ConfigError
from dicomprep.version import VERSION

__all__ = ["VersionImage", "add_version"]

BATCH_ROWS = 20_000
"""Rows that are made at a time; they are recorded in one transaction."""


@dataclass(slots=True)
class VersionImage:
    """An image of a version, as a row."""

    version_id: int
    frame_id: int
    key: bytes
    digest: bytes
    fact: int


def add_version(  # noqa: PLR0913  (the columns of a version)
    store: Store,
    name: str,
    *,
    options: Sequence[dict[str, Any]],
    classes: Sequence[str],
    digest: str,
    facts: Sequence[tuple[str, str | None]],
    images: Iterable[tuple[int, bytes, bytes, int]],
    count: int,
) -> None:
    """Record a version of `count` images (frame id, key, digest, number of the fact); ConfigError if the name is taken.

    A fact is a split and a label.
    """
    row = {"name": name, "created_at": now(), "program": VERSION, "images": count, "digest": digest}
    texts = {"options": json.dumps(list(options), sort_keys=True), "classes": json.dumps(list(classes))}
    with store.transaction() as connection:
        if connection.execute(select(versions.c.id).where(versions.c.name == name)).first() is not None:
            raise ConfigError(f"There is a version {name} already, and versions do not change. Choose another name.")
        version_id = connection.execute(insert(versions).values(**row, **texts).returning(versions.c.id)).scalar_one()
        numbered = [
            {"version_id": version_id, "number": number, "split": split, "label": label}
            for number, (split, label) in enumerate(facts)
        ]
        if numbered:
            connection.execute(insert(version_facts), numbered)
        for rows in _batches(VersionImage(version_id, *image) for image in images):
            bulk.insert(connection, version_images, rows, key=("version_id", "frame_id"), replace=False)


def _batches(rows: Iterable[VersionImage]) -> Iterable[list[VersionImage]]:
    batch: list[VersionImage] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    yield batch
