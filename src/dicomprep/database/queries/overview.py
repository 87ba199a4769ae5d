"""What the failures page, the overview and the report read: causes, counts and distributions."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Integer, cast, func, select

from dicomprep.database.queries.roots import last_options
from dicomprep.database.schema import files, frames, runs
from dicomprep.models import Status

__all__ = [
    "Cause",
    "FailedInput",
    "causes",
    "failed_inputs",
    "find_input",
    "image_options",
    "run_speeds",
    "sample_places",
    "sizes",
]

SAMPLED = 400


@dataclass(frozen=True, slots=True)
class Cause:
    """Inputs that failed with the same code and the same words."""

    code: str
    detail: str
    status: str
    count: int


@dataclass(frozen=True, slots=True)
class FailedInput:
    """One input that gave no image, or not all of them."""

    id: int
    root: str
    path: str
    status: str
    code: str
    detail: str
    attempts: int
    size: int


def causes(connection: Connection) -> Iterator[Cause]:
    """All that went wrong, counted."""
    columns = (files.c.error_code, files.c.error_detail, files.c.status)
    statement = select(*columns, func.count()).where(_FAILED).group_by(*columns)
    for code, detail, status, count in connection.execute(statement):
        yield Cause(code or "", detail or "", status, count)


def failed_inputs(connection: Connection, code: str, *, after: int, limit: int) -> list[FailedInput]:
    """Inputs that failed with a code, from the one after the id `after` on."""
    statement = select(*_INPUT).where(_FAILED, files.c.error_code == code, files.c.id > after)
    return [FailedInput(*row) for row in connection.execute(statement.order_by(files.c.id).limit(limit))]


def find_input(connection: Connection, file_id: int) -> FailedInput | None:
    """One input, whatever became of it."""
    row = connection.execute(select(*_INPUT).where(files.c.id == file_id)).first()
    return None if row is None else FailedInput(*tuple(row))


def image_options(connection: Connection, root: str) -> dict[str, Any]:
    """The options that shaped the images of the newest run below a root."""
    options: dict[str, Any] = json.loads(last_options(connection, root) or "{}").get("image", {})
    return options


def run_speeds(connection: Connection, limit: int) -> list[tuple[str, int, float]]:
    """(when, images, seconds) of the last runs that made images, the oldest first."""
    statement = select(runs.c.started_at, runs.c.frames, runs.c.seconds).where(runs.c.frames > 0)
    rows = connection.execute(statement.order_by(runs.c.id.desc()).limit(limit)).all()
    return [(when, images, seconds) for when, images, seconds in reversed(rows)]


def sizes(connection: Connection) -> list[tuple[int, int]]:
    """(n, files) of sources of 4ⁿ to 4ⁿ⁺¹ KB."""
    kilobytes = files.c.size / 1024
    bounds = [4**n for n in range(9)]
    place = sum((cast(kilobytes >= bound, Integer) for bound in bounds[1:]), start=cast(kilobytes >= 0, Integer) - 1)
    statement = select(place.label("place"), func.count()).where(files.c.frames > 0).group_by("place")
    return [(row[0], row[1]) for row in connection.execute(statement.order_by("place"))]


def sample_places(connection: Connection) -> list[str]:
    """Thumbnails for measuring greys: some hundred, spread evenly."""
    newest = connection.execute(select(func.max(frames.c.id))).scalar() or 0
    places = []
    for number in range(1, SAMPLED + 1):  # the last one, too
        statement = select(frames.c.id, frames.c.thumbnail_path).where(frames.c.id >= number * newest // SAMPLED)
        row = connection.execute(statement.order_by(frames.c.id).limit(1)).first()
        if row is not None:
            places.append(row.thumbnail_path)
    return list(dict.fromkeys(places))


_FAILED = files.c.status.not_in([Status.DONE, Status.SKIPPED])
_INPUT = (
    files.c.id,
    files.c.root,
    files.c.path,
    files.c.status,
    func.coalesce(files.c.error_code, ""),
    func.coalesce(files.c.error_detail, ""),
    files.c.attempts,
    files.c.size,
)
