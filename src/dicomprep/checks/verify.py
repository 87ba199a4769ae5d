"""Whether every recorded image is present and intact, and no others are: `verify(workspace)` changes no row."""

import errno
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine

from dicomprep.checks.orphans import Leftovers
from dicomprep.database.connection import connect, reading
from dicomprep.database.queries import counts
from dicomprep.database.queries import verify as verify_queries
from dicomprep.database.queries.frames import Choice, select_frames
from dicomprep.database.queries.versions import LostImage, Version, count_frozen, find_version, lost_images
from dicomprep.errors import count_of
from dicomprep.models import Status
from dicomprep.pipeline.concerns import absent_inputs, unreachable_roots
from dicomprep.storage.base import ImageStore, is_image_name
from dicomprep.storage.local_images import LocalImages
from dicomprep.storage.source import digest_bytes
from dicomprep.workspace import Workspace

__all__ = [
    "Findings",
    "FrozenFindings",
    "Kind",
    "Progress",
    "clear",
    "contradiction",
    "look_at",
    "verify",
    "verify_version",
]

ROWS_PER_QUERY, IMAGES_PER_READER, READERS = 4096, 256, 4
"""Rows read at a time, images that each thread checks at a time, and threads."""

REMOTE_READERS = 16
"""Threads where images come over a network: they wait more than they work."""

MAX_EXAMPLES = 20
"""Findings of each kind that are named."""


class Kind(StrEnum):
    """What can be wrong."""

    DATABASE = "database"
    CONTRADICTORY = "contradictory"
    MISSING = "missing"
    CUT = "cut"
    ALTERED = "altered"
    UNREADABLE = "unreadable"
    ORPHANED = "orphaned"
    LEFTOVER = "leftover"


@dataclass(slots=True)
class Findings:
    """What is wrong: counted, the first of each kind by name, and which inputs repair it."""

    output: str
    counts: Counter[Kind] = field(default_factory=Counter)
    examples: dict[Kind, list[str]] = field(default_factory=dict)
    due: set[int] = field(default_factory=set)
    """Ids of the inputs whose images must be regenerated."""
    images: int = 0
    """That are recorded, all of which were looked at."""
    inputs: int = 0
    foreign: int = 0
    notes: tuple[str, ...] = ()
    """On the inputs that are no longer there: their images are whole, and so not wrong."""
    """Files below the output folder that are not of this program's making."""

    def add(self, kind: Kind, what: str, file_id: int | None = None) -> None:
        """Count something that is wrong."""
        self.counts[kind] += 1
        named = self.examples.setdefault(kind, [])
        if len(named) < MAX_EXAMPLES:
            named.append(what)
        if file_id is not None:
            self.due.add(file_id)


class FrozenRow(NamedTuple):
    """What is recorded of an image of a version."""

    thumbnail_path: str
    size: int
    digest: bytes


@dataclass(slots=True)
class FrozenFindings:
    """What has become of the images of a version."""

    version: Version
    forgotten: int
    """Removed for good, by `forget`."""
    lost: list[LostImage] = field(default_factory=list)
    damaged: list[tuple[str, Kind]] = field(default_factory=list)
    """Images that are recorded as they were frozen, but whose files are missing or damaged."""
    images: int = 0
    """That are recorded as they were frozen, all of which were looked at."""

    @property
    def is_whole(self) -> bool:
        """Whether every image is there as it was frozen."""
        return not (self.forgotten or self.lost or self.damaged)


Progress = Callable[[int, int], None]
"""progress(looked_at, all)"""


def verify(workspace: Workspace, *, progress: Progress = lambda _done, _all: None) -> Findings:
    """Hold every row against its image, every image against its row, and the rows against each other.

    No run can write meanwhile. Raises ConfigError where nothing is recorded, EnvironmentFault where the database or
    the output folder cannot be used or are in use.
    """
    with _opened(workspace) as engine:
        findings = Findings(str(workspace.output))
        _ask(engine, findings, verify_queries.unsound)
        if not findings.counts:  # else no answer of it can be relied on
            _ask(engine, findings, verify_queries.dangling)
            _look_at_inputs(engine, findings)
            _look_at_images(engine, workspace.images, findings, progress)
            leftovers = _leftovers(engine, workspace)
            for place in leftovers.half_written():
                findings.add(Kind.LEFTOVER, place)
            for place in leftovers.orphans():
                findings.add(Kind.ORPHANED, place)
            findings.foreign = leftovers.foreign
            with reading(engine) as connection:
                findings.notes = (*absent_inputs(connection), *unreachable_roots(connection))
        return findings


def verify_version(workspace: Workspace, name: str, *, progress: Progress) -> FrozenFindings:
    """Hold every image of a version against what was frozen. Raises like `verify`."""
    with _opened(workspace), workspace.reading() as connection:
        version = find_version(connection, name)
        findings = FrozenFindings(version, version.images - count_frozen(connection, version))
        findings.lost += lost_images(connection, name)
        choice = Choice(version=name, held=True)
        lists = ([FrozenRow(*row) for row in rows] for rows in select_frames(connection, FrozenRow._fields, choice))
        for piece in _looked_at(workspace.images, lists):
            findings.images += len(piece)
            findings.damaged += [(row.thumbnail_path, kind) for row, kind in piece if kind is not None]
            progress(findings.images, version.images)
        return findings


def clear(workspace: Workspace) -> int:
    """Remove the images that no row names, and what killed runs left half-written; how many files that were."""
    with _opened(workspace) as engine:
        leftovers = _leftovers(engine, workspace, clear=True)
        return sum(1 for _ in leftovers.half_written()) + sum(1 for _ in leftovers.orphans())


@contextmanager
def _opened(workspace: Workspace) -> Iterator[Engine]:
    """The database of a data set whose images are its own; no run writes there until the end of the block."""
    workspace.require_images()
    workspace.require_own_output(data_set=workspace.data_set)
    workspace.require_claimed()
    engine = connect(workspace.address, must_exist=True)
    try:
        with workspace.lock():
            yield engine
    finally:
        engine.dispose()


def contradiction(row: Any, recorded: int) -> str | None:  # noqa: ANN401  (a row of SQLAlchemy)
    """What of an input's row (as `next_files` or `find_files` has it) contradicts the rows of its images, if anything.

    What has no frames, but describes images of others, is done without images.
    """
    if row.frames != recorded:
        return f"says {count_of(row.frames, 'image')}, but {recorded} are recorded"
    has_images = row.status in (Status.DONE, Status.PARTIAL) and row.frame_count > 0
    if has_images != (recorded > 0):
        return f"status {row.status}, but {count_of(recorded, 'image')} recorded"
    if recorded > 0 and row.group_id is None:
        return "its group, and therefore its split, is not recorded"
    return None


def look_at(images: ImageStore, name: str, size: int, digest: bytes) -> Kind | None:
    """What is wrong with a recorded image, if anything; links are not followed."""
    if not is_image_name(name):
        return Kind.ALTERED
    try:
        content = images.read(name, most=size + 1)
    except (FileNotFoundError, NotADirectoryError):
        return Kind.MISSING
    except OSError as error:
        return Kind.ALTERED if error.errno in (errno.ELOOP, errno.EMLINK) else Kind.UNREADABLE
    if len(content) < size:
        return Kind.CUT
    return None if len(content) == size and digest_bytes(content) == digest else Kind.ALTERED


def _ask(engine: Engine, findings: Findings, question: Callable[[Connection], list[str]]) -> None:
    with reading(engine) as connection:
        for fault in question(connection):
            findings.add(Kind.DATABASE, fault)


def _look_at_inputs(engine: Engine, findings: Findings) -> None:
    after = 0
    while True:
        with reading(engine) as connection:
            rows = verify_queries.next_files(connection, after=after, limit=ROWS_PER_QUERY)
            if not rows:
                return
            recorded = verify_queries.count_frames_of(connection, rows[0].id, rows[-1].id)
        after = rows[-1].id
        findings.inputs += len(rows)
        for row in rows:
            wrong = contradiction(row, recorded.get(row.id, 0))
            if wrong is not None:
                findings.add(Kind.CONTRADICTORY, f"{row.root}/{row.path}: {wrong}", row.id)


def _look_at_images(engine: Engine, images: ImageStore, findings: Findings, progress: Progress) -> None:
    with reading(engine) as connection:
        total = counts.count_rendered(connection)
    for piece in _looked_at(images, _frames(engine)):
        for row, kind in piece:
            if kind is not None:
                findings.add(kind, row.thumbnail_path, row.file_id)
        findings.images += len(piece)
        progress(findings.images, total)


def _looked_at(images: ImageStore, lists: Iterable[Sequence[Any]]) -> Iterator[list[tuple[Any, Kind | None]]]:
    """Rows of images with what is wrong with each, in their order, some at a time; several threads read the images."""

    def look(rows: Sequence[Any]) -> list[tuple[Any, Kind | None]]:
        return [(row, look_at(images, row.thumbnail_path, row.size, row.digest)) for row in rows]

    count = READERS if isinstance(images, LocalImages) else REMOTE_READERS
    with ThreadPoolExecutor(count, "dicomprep reader") as readers:
        for rows in lists:
            pieces = [rows[start : start + IMAGES_PER_READER] for start in range(0, len(rows), IMAGES_PER_READER)]
            yield from readers.map(look, pieces)


def _frames(engine: Engine) -> Iterator[Sequence[Any]]:
    after = 0
    while True:
        with reading(engine) as connection:
            rows = verify_queries.next_frames(connection, after=after, limit=ROWS_PER_QUERY)
        if not rows:
            return
        yield rows
        after = rows[-1].id


def _leftovers(engine: Engine, workspace: Workspace, *, clear: bool = False) -> Leftovers:
    images = workspace.images

    def named(places: Sequence[str]) -> set[str]:
        with reading(engine) as connection:
            known = verify_queries.find_named(connection, places)
            alike = verify_queries.find_alike(connection, [place for place in places if place not in known])
        return known | {place for place, others in alike.items() if any(images.are_one(place, o) for o in others)}

    return Leftovers(images, workspace.own_paths(), named, clear=clear)
