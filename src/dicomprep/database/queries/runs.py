"""Runs as they are recorded: the last ones, their options, the folder that they wrote to."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, func, literal, or_, select

from dicomprep.database.connection import database_folder
from dicomprep.database.schema import meta, runs
from dicomprep.storage.paths import actual_path

__all__ = [
    "Run",
    "images_folder",
    "last_options",
    "last_runs",
    "output_dir",
]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of `preprocess`, as recorded."""

    id: int
    started_at: str
    finished_at: str | None
    root: str
    found: int
    processed: int
    unchanged: int
    frames: int
    seconds: float
    interrupted: int


def output_dir(connection: Connection) -> str | None:
    """The output folder: absolute, or below the folder of the database."""
    recorded = connection.execute(select(meta.c.value).where(meta.c.key == "output_dir")).scalar()
    return None if recorded is None else actual_path(recorded)


def last_runs(connection: Connection, limit: int) -> list[Run]:
    """The newest runs, the last one first."""
    columns = (runs.c[name] for name in Run.__dataclass_fields__)
    return [Run(*row) for row in connection.execute(select(*columns).order_by(runs.c.id.desc()).limit(limit))]


def images_folder(connection: Connection, db: str) -> Path:
    """The folder below which the images of a database lie; where there is no image yet, that of the database."""
    return (database_folder(db) or Path()) / (output_dir(connection) or "")


def last_options(connection: Connection, root: str) -> str | None:
    """The options, as JSON, of the newest run of a root, a part of it, or a folder around it."""
    inside = func.substr(runs.c.root, 1, len(root) + 1) == f"{root}/"
    around = func.substr(literal(root), 1, func.length(runs.c.root) + 1) == runs.c.root.concat("/")
    overlapping = or_(runs.c.root == root, inside, around, runs.c.root == "/")
    statement = select(runs.c.options).where(overlapping).order_by(runs.c.id.desc()).limit(1)
    return connection.execute(statement).scalar()
