"""What is recorded of inputs: whether they are up to date, what they are called, where their content lies."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import BindParameter, ColumnElement, Connection, and_, bindparam, literal_column, or_, select

from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.schema import files
from dicomprep.errors import ErrorCode
from dicomprep.storage.paths import readable_path
from dicomprep.storage.source import Version

__all__ = [
    "GivenName",
    "RecordedPlace",
    "RecordedVersion",
    "any_files",
    "find_given_names",
    "find_recorded",
    "find_taken_names",
    "find_up_to_date",
    "still_holds",
]


class RecordedPlace(NamedTuple):
    """Where a recorded file lies, as readable paths."""

    id: int
    root: str
    path: str


class RecordedVersion(NamedTuple):
    """What is recorded of the content of a file that was processed."""

    id: int
    digest: bytes
    version: Version
    header_due: bool = False
    """Its header is to be read again."""


class GivenName(NamedTuple):
    """What the images of a file are called."""

    study_id: str
    name: str
    """`study_id/stem`; a frame of a multi-frame file adds its number."""
    folder: str
    """What the folder is called where it stands for a patient; empty where that is `study_id`."""


_BELOW_ROOT = files.c.root == bindparam("root")


_MAY_BE_GONE: list[ColumnElement[str]] = [
    literal_column(f"'{code}'") for code in (ErrorCode.UNREADABLE, ErrorCode.CHANGED)
]
"""What can end without the file's size or time having changed."""


_VERSION = (files.c.size, files.c.mtime_ns, files.c.ctime_ns, files.c.version_tag)


def still_holds(fingerprint: str | BindParameter[str]) -> ColumnElement[bool]:
    """Whether what is recorded of an input holds while it is the same, with the options of that fingerprint."""
    failed_for_good = or_(files.c.error_code.is_(None), files.c.error_code.not_in(_MAY_BE_GONE))
    return and_(files.c.fingerprint == fingerprint, failed_for_good)


_UP_TO_DATE = select(files.c.path, files.c.id, files.c.digest, files.c.header_due, *_VERSION).where(
    _BELOW_ROOT, still_holds(bindparam("fingerprint")), any_of(files.c.path)
)


_GIVEN_NAMES = select(files.c.path, files.c.study_id, files.c.name, files.c.group_folder).where(
    _BELOW_ROOT, any_of(files.c.path)
)


_TAKEN_NAMES = select(files.c.folded_name).where(any_of(files.c.folded_name))


_TAKEN_STEMS = select(files.c.frame_stem).where(any_of(files.c.frame_stem))


_WITH_DIGEST = select(files.c.id, files.c.root, files.c.path, files.c.digest).where(any_of(files.c.digest))


def any_files(connection: Connection) -> bool:
    """Whether anything is recorded at all."""
    return connection.execute(select(files.c.id).limit(1)).first() is not None


def find_up_to_date(
    connection: Connection, root: str, paths: Sequence[str], *, fingerprint: str
) -> dict[str, RecordedVersion]:
    """Of the files at readable `paths` below `root`, those whose record holds while they are the same.

    By readable path. Not among them: what was recorded under other
    options, and what failed for a reason that may be gone.
    """
    rows = look_up(connection, _UP_TO_DATE, paths, readable_path(root), fingerprint)
    return {
        path: RecordedVersion(file_id, digest, Version(size, mtime_ns, ctime_ns or 0, tag or ""), bool(due))
        for path, file_id, digest, due, size, mtime_ns, ctime_ns, tag in rows
    }


def find_given_names(connection: Connection, root: str, paths: Sequence[str]) -> dict[str, GivenName]:
    """What the images are called of the recorded files among the readable `paths` below `root`."""
    rows = look_up(connection, _GIVEN_NAMES, paths, readable_path(root))
    return {path: GivenName(study_id, name, folder or "") for path, study_id, name, folder in rows}


def find_taken_names(connection: Connection, names: Sequence[str], stems: Sequence[str]) -> tuple[set[str], set[str]]:
    """Of `names` and `stems` those that files have, and of `names` those of which a file is called like a frame.

    All of them folded: two names that differ in capitals alone are one on many a disk.
    """
    taken = {row[0] for row in look_up(connection, _TAKEN_NAMES, [*names, *stems])}
    return taken, {row[0] for row in look_up(connection, _TAKEN_STEMS, names)}


def find_recorded(connection: Connection, digests: Sequence[bytes]) -> dict[bytes, list[RecordedPlace]]:
    """Recorded files by digest."""
    found: dict[bytes, list[RecordedPlace]] = {}
    for file_id, root, path, digest in look_up(connection, _WITH_DIGEST, digests):
        found.setdefault(digest, []).append(RecordedPlace(file_id, root, path))
    return found
