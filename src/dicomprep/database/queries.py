"""All reads of the database."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, ScalarSelect, func, or_, select

from dicomprep.database.schema import files, frames, groups, images, inputs, labels, meta, runs
from dicomprep.models import Status
from dicomprep.storage import actual_path, readable_path

__all__ = [
    "Failure",
    "Known",
    "Run",
    "any_files",
    "count_by",
    "count_frames",
    "count_groups",
    "count_labelled",
    "find_known",
    "find_moved",
    "find_taken_names",
    "find_thumbnail",
    "last_options",
    "last_runs",
    "list_failures",
    "next_unlabelled",
    "output_dir",
    "paths_of_failures",
    "roots_of_failures",
]


@dataclass(frozen=True, slots=True)
class Known:
    """A recorded file, as far as deciding whether it must be read again goes."""

    size: int
    mtime_ns: int
    fingerprint: str
    status: str
    error_code: str | None
    study_id: str
    name: str


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


def find_known(connection: Connection, root: str, paths: Sequence[str]) -> dict[str, Known]:
    """The recorded files among `paths` below `root`, by readable path."""
    wanted = [readable_path(path) for path in paths]
    columns = (files.c[name] for name in Known.__dataclass_fields__)
    statement = select(files.c.path, *columns).where(files.c.root == readable_path(root), files.c.path.in_(wanted))
    return {path: Known(*rest) for path, *rest in connection.execute(statement)}


def find_taken_names(connection: Connection, names: Sequence[str], stems: Sequence[str]) -> tuple[set[str], set[str]]:
    """Of `names` those that are taken, and those of which a frame is: by a file, or by one of frames `stems`."""
    statement = select(files.c.name, files.c.frame_stem).where(
        or_(files.c.name.in_([*names, *stems]), files.c.frame_stem.in_(names))
    )
    rows = connection.execute(statement).all()
    return {row.name for row in rows}, {row.frame_stem for row in rows if row.frame_stem}


def find_moved(connection: Connection, digests: Sequence[bytes]) -> dict[bytes, list[tuple[int, str, str, str]]]:
    """Recorded files by digest: (id, root, path, fingerprint) of each."""
    statement = select(files.c.digest, files.c.id, files.c.root, files.c.path, files.c.fingerprint)
    found: dict[bytes, list[tuple[int, str, str, str]]] = {}
    for digest, *rest in connection.execute(statement.where(files.c.digest.in_(digests)).order_by(files.c.id)):
        found.setdefault(digest, []).append((rest[0], rest[1], rest[2], rest[3]))
    return found


def count_by(connection: Connection, what: str) -> dict[str, int]:
    """Counts by `status` or `error_code` of inputs, or by `split` or `modality` of images."""
    view = inputs if what in ("status", "error_code") else images
    column = view.c[what]
    statement = (
        select(column, func.count()).where(column.is_not(None)).group_by(column).order_by(func.count().desc(), column)
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


def count_groups(connection: Connection) -> dict[str, int]:
    """How many groups (patients, mostly) each split has."""
    statement = select(groups.c.split, func.count()).group_by(groups.c.split)
    return {row[0]: row[1] for row in connection.execute(statement)}


def count_frames(connection: Connection) -> int:
    """How many images there are."""
    return int(connection.execute(select(func.count()).select_from(frames)).scalar_one())


def count_labelled(connection: Connection) -> int:
    """How many images have a label now."""
    statement = select(func.count()).select_from(frames).where(_current_label().is_not(None))
    return int(connection.execute(statement).scalar_one())


def next_unlabelled(connection: Connection, *, after: int) -> Row[Any] | None:
    """The first image without a label whose id is greater than `after`, as a row of `images`."""
    unlabelled = select(frames.c.id).where(frames.c.id > after, _current_label().is_(None))
    first = unlabelled.order_by(frames.c.id).limit(1).scalar_subquery()
    return connection.execute(select(images).where(images.c.id == first)).first()


def find_thumbnail(connection: Connection, frame_id: int) -> str | None:
    """Where an image lies below the output folder."""
    return connection.execute(select(frames.c.thumbnail_path).where(frames.c.id == frame_id)).scalar()


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


def last_options(connection: Connection, root: str) -> str:
    """The options of the newest run below `root`, as JSON."""
    statement = select(runs.c.options).where(runs.c.root == root).order_by(runs.c.id.desc()).limit(1)
    return str(connection.execute(statement).scalar_one())


def last_runs(connection: Connection, limit: int) -> list[Run]:
    """The newest runs, the last one first."""
    columns = (runs.c[name] for name in Run.__dataclass_fields__)
    return [Run(*row) for row in connection.execute(select(*columns).order_by(runs.c.id.desc()).limit(limit))]


def _current_label() -> ScalarSelect[Any]:
    """Of a frame: its newest label; NULL where there is none or it was taken back."""
    newest = select(labels.c.label).where(labels.c.frame_id == frames.c.id).order_by(labels.c.id.desc()).limit(1)
    return newest.correlate(frames).scalar_subquery()


def _failed(codes: Sequence[str] | None) -> ColumnElement[bool]:
    unsuccessful = files.c.status.not_in([Status.DONE, Status.SKIPPED])
    return unsuccessful if codes is None else unsuccessful & files.c.error_code.in_(codes)
