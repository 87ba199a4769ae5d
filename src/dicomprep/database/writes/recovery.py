"""What is noted in the database before something is done that a crash could leave half done."""

import json
from collections.abc import Collection, Sequence

from sqlalchemy import Connection, bindparam, delete, literal_column, select, update

from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.schema import files, frames, meta
from dicomprep.errors import EnvironmentFault
from dicomprep.pixels.encoding import without_ending

__all__ = ["add_pending_deletions", "clear_pending_deletions", "mark_stale", "pending_deletions"]

_PENDING_KEY = "unnamed_images"
_STILL_NAMED = select(frames.c.thumbnail_path).where(any_of(frames.c.filename))
_UP_TO_DATE = select(files.c.id).where(
    files.c.root == bindparam("root"), files.c.fingerprint != literal_column("''"), any_of(files.c.path)
)
_MARK_STALE = update(files).where(files.c.id == bindparam("file_id")).values(fingerprint="")


def mark_stale(connection: Connection, root: str, paths: Sequence[str]) -> None:
    """Make recorded files due below `root` (a readable path, as are `paths`), before their images are replaced.

    Whatever happens next, a later run makes them anew. Otherwise a run that is killed would leave the images of one
    set of options under rows of another.
    """
    rows = [{"file_id": row[0]} for row in look_up(connection, _UP_TO_DATE, paths, root)]
    if rows:
        connection.execute(_MARK_STALE, rows)


def add_pending_deletions(connection: Connection, paths: Collection[str]) -> None:
    """Keep, with the rows that no longer name them, which images are to be removed; those noted before are gone."""
    clear_pending_deletions(connection)
    if paths:
        connection.execute(meta.insert().values(key=_PENDING_KEY, value=json.dumps(sorted(paths))))


def clear_pending_deletions(connection: Connection) -> None:
    """All that was noted has been removed."""
    connection.execute(delete(meta).where(meta.c.key == _PENDING_KEY))


def pending_deletions(connection: Connection) -> list[str]:
    """The images that a run which broke off may have left though no row names them."""
    noted = connection.execute(select(meta.c.value).where(meta.c.key == _PENDING_KEY)).scalar()
    paths = _listed(noted) if noted else []
    named = {row[0] for row in look_up(connection, _STILL_NAMED, list(map(without_ending, paths)))}
    return [path for path in paths if path not in named]


def _listed(noted: str) -> list[str]:
    try:
        paths = json.loads(noted)
    except (ValueError, RecursionError):
        paths = None
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        message = f"The database's list of images to be removed is damaged (`{_PENDING_KEY}` in its table `meta`)."
        raise EnvironmentFault(f"{message} Restore a backup of the database.")
    return paths
