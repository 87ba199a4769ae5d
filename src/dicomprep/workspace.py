"""Whose images an output folder holds: two databases in one folder would overwrite and remove each other's."""

import json
import os
import shlex
from pathlib import Path

from dicomprep.addresses import is_sqlite_path
from dicomprep.database.connection import displayed_database
from dicomprep.errors import ConfigError, disk_fault
from dicomprep.storage.access import ANYONE, GROUP, OWNER, access_like
from dicomprep.storage.paths import MARK, actual_path, holds_images, readable_path
from dicomprep.storage.source import read_small_file
from dicomprep.storage.sync import replace_file

__all__ = ["MARK", "access_of", "claim_output", "explain_access", "require_claimed", "require_own_output"]

MARK_BYTES = 2**14


def access_of(output_dir: Path, db: str, *, shared: bool) -> int:
    """Whom new files of a data set are for: as its mark says, else its database; a new one is for its owner alone.

    With `shared` a new one is for a group, too. Those of earlier releases leave it to the umask.
    """
    known = access_like(output_dir / MARK)
    if known is None and is_sqlite_path(db):
        known = access_like(os.path.realpath(db))
    if known is None and holds_images(output_dir):
        return ANYONE
    return known or (GROUP if shared else OWNER)


def explain_access(output_dir: Path, db: str, access: int, *, shared: bool, is_new: bool) -> str:
    """A sentence where a new data set is for its owner alone, or an earlier one is and was to be for a group."""
    if access != OWNER or os.name == "nt":
        return ""
    if not shared:
        return "for you alone; a new data set with --shared is for your group, too" if is_new else ""
    places = [str(output_dir), *([os.path.realpath(db)] if is_sqlite_path(db) else [])]
    return f"for you alone, as it was made: chmod -R g+rX {shlex.join(places)} lets your group in, also to what is new"


def claim_output(output_dir: Path, db: str, *, data_set: str, access: int = ANYONE) -> None:
    """Mark the folder as this database's. Raises as `require_own_output`, and EnvironmentFault where that fails."""
    require_own_output(output_dir, db, data_set=data_set)
    mark = json.dumps({"database": _location(output_dir, db), "data_set": data_set}) + "\n"
    place = output_dir / MARK
    try:
        if _read_mark(output_dir) != mark:
            replace_file(place, mark.encode(), mode=0o666 & access)
    except OSError as error:
        raise disk_fault(f"{place} cannot be written", error) from error


def require_own_output(output_dir: Path, db: str, *, data_set: str) -> None:
    """ConfigError where the folder holds the images of another data set whose database is still there."""
    location, other = _owner(output_dir)
    if not location:
        return
    if other == data_set or location == _location(output_dir, db):
        return
    if is_sqlite_path(location):
        location = os.path.normpath(os.path.realpath(output_dir) + os.sep + actual_path(location))
        if not Path(location).exists():
            return
    remedy = f"Give another --output-dir; or, if that database needs them no more, remove {output_dir / MARK}."
    raise ConfigError(f"{output_dir} holds the images of another database, {location}. {remedy}")


def require_claimed(output_dir: Path, *, data_set: str) -> None:
    """ConfigError where a folder that a database names holds anything, but not the mark of that data set.

    A database that somebody else made may name any folder; what lies in it is not for it to replace or remove.
    """
    if holds_images(output_dir) and _owner(output_dir)[1] != data_set:
        message = f"{output_dir} is not marked as holding the images of this database: nothing is changed there."
        raise ConfigError(f"{message} If they are its own: dicomprep preprocess with --output-dir and --db marks it.")


def _read_mark(output_dir: Path) -> str:
    """The mark as it stands there; nothing where there is none, or what stands there is none."""
    try:
        return read_small_file(output_dir / MARK, most=MARK_BYTES, follow_links=False).decode()
    except (OSError, ValueError):
        return ""


def _owner(output_dir: Path) -> tuple[str, str]:
    """(database, data set) that the folder's mark names; both empty where it was cut off or there is none."""
    try:
        mark = json.loads(_read_mark(output_dir))
        return str(mark["database"]), str(mark["data_set"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return "", ""


def _location(output_dir: Path, db: str) -> str:
    """Relative to the output folder, for both may be moved as one; a server's without its password."""
    if not is_sqlite_path(db):
        return displayed_database(db)
    return readable_path(os.path.relpath(os.path.realpath(db), os.path.realpath(output_dir)))
