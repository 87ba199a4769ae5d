"""What the overview and the report read: counts and distributions."""

import json
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, cast, func, select

from dicomprep.database.queries.runs import last_options
from dicomprep.database.schema import files, frames, runs

__all__ = [
    "image_options",
    "run_speeds",
    "sample_places",
    "sizes",
]

SAMPLED_IMAGES = 400
"""Images whose gray levels are counted; bounds the time of a page."""


def image_options(connection: Connection, root: str) -> dict[str, Any]:
    """The options that shaped the images of the newest run below a root."""
    options: dict[str, Any] = json.loads(last_options(connection, root) or "{}").get("image", {})
    return options


class RunSpeed(NamedTuple):
    """How fast a run was."""

    started_at: str
    frames: int
    """Images that it made."""
    seconds: float


def run_speeds(connection: Connection, limit: int) -> list[RunSpeed]:
    """The last runs that made images, the oldest first."""
    statement = select(*(runs.c[name] for name in RunSpeed._fields)).where(runs.c.frames > 0)
    rows = connection.execute(statement.order_by(runs.c.id.desc()).limit(limit)).all()
    return [RunSpeed(*row) for row in reversed(rows)]


def sizes(connection: Connection) -> list[tuple[int, int]]:
    """(n, files) of sources of 4ⁿ to 4ⁿ⁺¹ KB."""
    kilobytes = files.c.size / 1024
    bounds = [4**n for n in range(9)]
    place = sum((cast(kilobytes >= bound, Integer) for bound in bounds[1:]), start=cast(kilobytes >= 0, Integer) - 1)
    statement = select(place.label("place"), func.count()).where(files.c.frames > 0).group_by("place")
    return [(row[0], row[1]) for row in connection.execute(statement.order_by("place"))]


def sample_places(connection: Connection) -> list[str]:
    """Thumbnails for measuring gray levels: some hundred, spread evenly."""
    newest = connection.execute(select(func.max(frames.c.id))).scalar() or 0
    places = []
    for number in range(1, SAMPLED_IMAGES + 1):  # the last one, too
        statement = select(frames.c.id, frames.c.thumbnail_path).where(frames.c.id >= number * newest // SAMPLED_IMAGES)
        row = connection.execute(statement.order_by(frames.c.id).limit(1)).first()
        if row is not None:
            places.append(row.thumbnail_path)
    return list(dict.fromkeys(places))
