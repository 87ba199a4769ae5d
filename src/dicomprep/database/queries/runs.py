"""All reads of the database."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, bindparam, func, literal_column, or_, select

from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.connection import database_folder
from dicomprep.database.schema import files, frames, groups, inputs, meta, runs
from dicomprep.errors import ErrorCode
from dicomprep.models import Status
from dicomprep.storage.paths import actual_path, readable_path

__all__ = [
    "Failure",
    "Recorded",
    "Run",
    "any_files",
    "count_by",
    "count_duplicates",
    "count_frames",
    "count_groups",
    "find_digests",
    "find_given_names",
    "find_recorded",
    "find_taken_names",
    "find_thumbnail",
    "find_up_to_date",
    "images_folder",
    "last_runs",
    "list_failures",
    "output_dir",
    "paths_of_failures",
    "roots_of_failures",
]


_BELOW_ROOT = files.c.root == bindparam("root")

_MAY_BE_GONE: list[ColumnElement[str]] = [
    literal_column(f"'{code}'") for code in (ErrorCode.UNREADABLE, ErrorCode.CHANGED)
]
"""What can end without the file's size or time having changed."""

_UP_TO_DATE = select(files.c.path, files.c.size, files.c.mtime_ns, files.c.ctime_ns, files.c.id, files.c.digest).where(
    _BELOW_ROOT,
    files.c.fingerprint == bindparam("fingerprint"),
    or_(files.c.error_code.is_(None), files.c.error_code.not_in(_MAY_BE_GONE)),
    any_of(files.c.path),
)
_GIVEN_NAMES = select(files.c.path, files.c.study_id, files.c.name, files.c.group_folder).where(
    _BELOW_ROOT, any_of(files.c.path)
)
_TAKEN_NAMES = select(files.c.folded_name).where(any_of(files.c.folded_name))
_TAKEN_STEMS = select(files.c.frame_stem).where(any_of(files.c.frame_stem))
_WITH_DIGEST = select(files.c.id, files.c.root, files.c.path, files.c.digest).where(any_of(files.c.digest))

Recorded = tuple[int, str, str]
"""Id, root and path of a file."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An input that gave no image, or not all of them."""

    path: str
    status: str
    error_code: str
    error_detail: str


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


def any_files(connection: Connection) -> bool:
    """Whether anything is recorded at all."""
    return connection.execute(select(files.c.id).limit(1)).first() is not None


def find_up_to_date(
    connection: Connection, root: str, paths: Sequence[str], *, fingerprint: str
) -> dict[str, tuple[int, int, int | None, int, bytes]]:
    """Of the files at readable `paths` below `root`, those whose record holds while they are the same.

    (size, mtime_ns, ctime_ns or None, id, digest) by readable path. Not among them: what was recorded under other
    options, and what failed for a reason that may be gone.
    """
    rows = look_up(connection, _UP_TO_DATE, paths, readable_path(root), fingerprint)
    return {row[0]: tuple(row[1:]) for row in rows}


def find_given_names(connection: Connection, root: str, paths: Sequence[str]) -> dict[str, tuple[str, str, str]]:
    """(study_id, name, group_folder) of the recorded files among the readable `paths` below `root`."""
    rows = look_up(connection, _GIVEN_NAMES, paths, readable_path(root))
    return {path: (study_id, name, folder or "") for path, study_id, name, folder in rows}


def find_taken_names(connection: Connection, names: Sequence[str], stems: Sequence[str]) -> tuple[set[str], set[str]]:
    """Of `names` and `stems` those that files have, and of `names` those of which a file is called like a frame.

    All of them folded: two names that differ in capitals alone are one on many a disk.
    """
    taken = {row[0] for row in look_up(connection, _TAKEN_NAMES, [*names, *stems])}
    return taken, {row[0] for row in look_up(connection, _TAKEN_STEMS, names)}


def find_recorded(connection: Connection, digests: Sequence[bytes]) -> dict[bytes, list[Recorded]]:
    """Recorded files by digest."""
    found: dict[bytes, list[Recorded]] = {}
    for file_id, root, path, digest in look_up(connection, _WITH_DIGEST, digests):
        found.setdefault(digest, []).append((file_id, root, path))
    return found


def count_by(connection: Connection, what: str) -> dict[str, int]:
    """Counts by `status` or `error_code` of inputs, or by `split` or `modality` of images."""
    of_images = what in ("split", "modality")  # a file's row says how many it has: quicker than counting them
    column = groups.c.split if what == "split" else files.c[what]
    count = func.sum(files.c.frames) if of_images else func.count()
    statement = select(column, count).select_from(files.join(groups) if what == "split" else files)
    statement = statement.where(column.is_not(None)).group_by(column).order_by(count.desc(), column)
    if of_images:
        statement = statement.where(files.c.frames > 0, files.c.duplicate_of.is_(None))
    return {row[0]: row[1] for row in connection.execute(statement)}


def count_groups(connection: Connection) -> dict[str, int]:
    """How many groups (patients, mostly) each split has."""
    statement = select(groups.c.split, func.count()).group_by(groups.c.split)
    return {row[0]: row[1] for row in connection.execute(statement)}


def count_frames(connection: Connection) -> int:
    """How many images there are, without those of duplicates."""
    hidden = select(func.coalesce(func.sum(files.c.frames), 0)).where(files.c.duplicate_of.is_not(None))
    recorded = select(func.count()).select_from(frames)
    return int(connection.execute(recorded).scalar_one()) - int(connection.execute(hidden).scalar_one())


def count_duplicates(connection: Connection) -> int:
    """How many inputs hold the same image as another one, which alone is among `images`."""
    statement = select(func.count()).select_from(files).where(files.c.duplicate_of.is_not(None))
    return int(connection.execute(statement).scalar_one())


def find_thumbnail(connection: Connection, frame_id: int) -> tuple[str, bytes] | None:
    """Where an image lies below the output folder, and its digest."""
    statement = select(frames.c.thumbnail_path, frames.c.digest).where(frames.c.id == frame_id)
    row = connection.execute(statement).first()
    return None if row is None else (row[0], bytes(row[1]))


def find_digests(connection: Connection, frame_ids: Collection[int]) -> dict[int, str]:
    """The digests of images, in hexadecimal figures; what is no image has none."""
    statement = select(frames.c.id, frames.c.digest).where(frames.c.id.in_(frame_ids))
    return {frame_id: bytes(digest).hex() for frame_id, digest in connection.execute(statement)}


def output_dir(connection: Connection) -> str | None:
    """The output folder: absolute, or below the folder of the database."""
    recorded = connection.execute(select(meta.c.value).where(meta.c.key == "output_dir")).scalar()
    return None if recorded is None else actual_path(recorded)


def list_failures(connection: Connection) -> Iterator[Failure]:
    """The inputs that gave no image though they should have, by reason."""
    statement = select(inputs.c.path, inputs.c.status, inputs.c.error_code, inputs.c.error_detail)
    bad = inputs.c.status.not_in([Status.DONE, Status.SKIPPED])
    for row in connection.execute(statement.where(bad).order_by(inputs.c.error_code, inputs.c.path)):
        yield Failure(*row)


def roots_of_failures(connection: Connection, codes: Sequence[str] | None) -> list[str]:
    """The roots below which inputs failed (for one of `codes`, if given)."""
    statement = select(files.c.root).where(_failed(codes)).distinct().order_by(files.c.root)
    return list(connection.execute(statement).scalars())


def paths_of_failures(connection: Connection, root: str, codes: Sequence[str] | None) -> list[str]:
    """The inputs below `root` that failed, as readable paths in their order."""
    statement = select(files.c.path).where(files.c.root == root, _failed(codes)).order_by(files.c.path)
    return list(connection.execute(statement).scalars())


def last_runs(connection: Connection, limit: int) -> list[Run]:
    """The newest runs, the last one first."""
    columns = (runs.c[name] for name in Run.__dataclass_fields__)
    return [Run(*row) for row in connection.execute(select(*columns).order_by(runs.c.id.desc()).limit(limit))]


def _failed(codes: Sequence[str] | None) -> ColumnElement[bool]:
    unsuccessful = files.c.status.not_in([Status.DONE, Status.SKIPPED])
    return unsuccessful if codes is None else unsuccessful & files.c.error_code.in_(codes)


def images_folder(connection: Connection, db: str) -> Path:
    """The folder below which the images of a database lie; where there is no image yet, that of the database."""
    return (database_folder(db) or Path()) / (output_dir(connection) or "")
