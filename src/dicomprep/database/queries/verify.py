"""Reads of `verify`: what is recorded of images and inputs, a batch at a time; whether the database is sound."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.schema import files, frames, groups
from dicomprep.pixels.encoding import without_ending
from dicomprep.storage.naming import folded_name, frame_stem

__all__ = [
    "RecordedImage",
    "RecordedInput",
    "count_frames_of",
    "dangling",
    "find_alike",
    "find_files",
    "find_frames",
    "find_named",
    "next_files",
    "next_frames",
    "unsound",
]


class RecordedInput(NamedTuple):
    """What is recorded of an input, for those who compare it with its images."""

    id: int
    root: str
    path: str
    status: str
    error_code: str | None
    frame_count: int
    frames: int
    digest: bytes
    fingerprint: str
    group_id: int | None


class RecordedImage(NamedTuple):
    """What is recorded of an image."""

    file_id: int
    size: int
    digest: bytes


_FILE = tuple(files.c[name] for name in ("id", "root", "path", "status", "error_code", "frame_count", "frames"))
_IMAGE = (frames.c.file_id, frames.c.thumbnail_path, frames.c.size, frames.c.digest)
_NAMED = select(frames.c.thumbnail_path).where(any_of(frames.c.filename))
_ALIKE = select(frames.c.filename, frames.c.thumbnail_path).join(files).where(any_of(files.c.folded_name))
_FILES = select(*(files.c[name] for name in RecordedInput._fields)).where(any_of(files.c.id))
_FRAMES = select(*_IMAGE).where(any_of(frames.c.file_id))

MAX_DATABASE_FAULTS = 100
"""Faults of the database itself that are named; bounds the output."""


def next_frames(connection: Connection, *, after: int, limit: int) -> Sequence[Any]:
    """(id, file_id, thumbnail_path, size, digest) of the images that follow one, by id."""
    statement = select(frames.c.id, *_IMAGE).where(frames.c.id > after).order_by(frames.c.id).limit(limit)
    return connection.execute(statement).all()


def next_files(connection: Connection, *, after: int, limit: int) -> Sequence[Any]:
    """(id, root, path, status, error_code, frame_count, frames, group_id) of the inputs that follow one, by id.

    `group_id` is None where the group is not recorded.
    """
    source = files.outerjoin(groups, files.c.group_id == groups.c.id)
    statement = select(*_FILE, groups.c.id.label("group_id")).select_from(source)
    return connection.execute(statement.where(files.c.id > after).order_by(files.c.id).limit(limit)).all()


def count_frames_of(connection: Connection, first: int, last: int) -> dict[int, int]:
    """How many images are recorded of the inputs with ids from `first` to `last`, by id; none is left out."""
    statement = select(frames.c.file_id, func.count()).where(frames.c.file_id.between(first, last))
    return {row[0]: row[1] for row in connection.execute(statement.group_by(frames.c.file_id))}


def find_files(connection: Connection, ids: Sequence[int]) -> dict[int, RecordedInput]:
    """Inputs, by id."""
    return {row[0]: RecordedInput(*row) for row in look_up(connection, _FILES, ids)}


def find_frames(connection: Connection, file_ids: Sequence[int]) -> dict[str, RecordedImage]:
    """The images of inputs, by thumbnail path."""
    rows = look_up(connection, _FRAMES, file_ids)
    return {place: RecordedImage(file_id, size, bytes(digest)) for file_id, place, size, digest in rows}


def find_named(connection: Connection, places: Sequence[str]) -> set[str]:
    """Of thumbnail paths (`….png`, say), those that an image has."""
    return {row[0] for row in look_up(connection, _NAMED, [*map(without_ending, places)])}


def find_alike(connection: Connection, places: Sequence[str]) -> dict[str, list[str]]:
    """For thumbnail paths (`….png`), those that images have which differ from them in capitals or accents alone."""
    folded = {place: folded_name(without_ending(place)) for place in places}
    stems = {stem for name in folded.values() if (stem := frame_stem(name))}
    alike: dict[str, list[str]] = {}
    for filename, place in look_up(connection, _ALIKE, sorted({*folded.values(), *stems})):
        alike.setdefault(folded_name(filename), []).append(place)
    return {place: alike.get(name, []) for place, name in folded.items()}


def unsound(connection: Connection) -> list[str]:
    """What is wrong with the database's file, as SQLite finds it; a server looks after its own."""
    if connection.dialect.name != "sqlite":
        return []
    answers = connection.exec_driver_sql(f"PRAGMA integrity_check({MAX_DATABASE_FAULTS})").scalars()
    return [line for answer in answers if answer != "ok" for line in answer.splitlines()]


def dangling(connection: Connection) -> list[str]:
    """Rows of SQLite with missing references, except inputs without their group: those can be repaired."""
    if connection.dialect.name != "sqlite":
        return []
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(MAX_DATABASE_FAULTS)
    return [
        f"row {row[1]} of {row[0]} refers to a row of {row[2]} that is not there"
        for row in broken
        if row[2] != "groups"
    ]
