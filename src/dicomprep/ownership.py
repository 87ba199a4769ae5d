"""Whose images an output folder holds: two databases in one folder would overwrite and remove each other's."""

import json
import os
from pathlib import Path

from dicomprep.database.connect import displayed_database, is_sqlite_path
from dicomprep.errors import ConfigError, disk_fault
from dicomprep.storage import OWN_PREFIX, actual_path, readable_path

__all__ = ["claim_output", "require_own_output"]

MARK = f"{OWN_PREFIX}.owner"
"""In the output folder: its database, and the fingerprint of that data set's key."""


def claim_output(output_dir: Path, db: str, *, data_set: str) -> None:
    """Mark the folder as this database's. Raises as `require_own_output`, and EnvironmentFault where that fails."""
    require_own_output(output_dir, db, data_set=data_set)
    mark = json.dumps({"database": _location(output_dir, db), "data_set": data_set}) + "\n"
    place = output_dir / MARK
    try:
        if not place.exists() or place.read_text("utf-8") != mark:
            draft = output_dir / f"{MARK}.draft"
            draft.write_text(mark, "utf-8")
            draft.replace(place)
    except OSError as error:
        raise disk_fault(f"{place} cannot be written", error) from error


def require_own_output(output_dir: Path, db: str, *, data_set: str) -> None:
    """ConfigError where the folder holds the images of another data set whose database is still there."""
    try:
        mark = json.loads((output_dir / MARK).read_text("utf-8"))
        location, other = str(mark["database"]), str(mark["data_set"])
    except (OSError, ValueError, KeyError, TypeError):  # there is none, or it was cut off
        return
    if other == data_set or location == _location(output_dir, db):
        return
    if is_sqlite_path(location):
        location = os.path.normpath(os.path.realpath(output_dir) + os.sep + actual_path(location))
        if not Path(location).exists():
            return
    remedy = f"Give another --output-dir; or, if that database needs them no more, remove {output_dir / MARK}."
    raise ConfigError(f"{output_dir} holds the images of another database, {location}. {remedy}")


def _location(output_dir: Path, db: str) -> str:
    """Relative to the output folder, for both may be moved as one; a server's without its password."""
    if not is_sqlite_path(db):
        return displayed_database(db)
    return readable_path(os.path.relpath(os.path.realpath(db), os.path.realpath(output_dir)))
