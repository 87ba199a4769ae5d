"""What is noted in the database before something is done that a crash could leave half done."""

import json
from collections.abc import Collection, Sequence

from sqlalchemy import Connection, bindparam, delete, literal_column, select, update

from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.schema import files, frames, meta
from dicomprep.errors import EnvironmentFault

__all__ = ["forget_unnamed", "note_unnamed", "unnamed_images", "unsettle"]

_UNNAMED = "unnamed_images"
_NAMED = select(frames.c.filename).where(any_of(frames.c.filename))
_SETTLED = select(files.c.id).where(
    files.c.root == bindparam("root"), files.c.fingerprint != literal_column("''"), any_of(files.c.path)
)
_UNSETTLE = update(files).where(files.c.id == bindparam("file_id")).values(fingerprint="")


def unsettle(connection: Connection, root: str, paths: Sequence[str]) -> None:
    """Make recorded files due below `root` (a readable path, as are `paths`), before their images are replaced.

    Whatever happens next, a later run makes them anew. Otherwise a run that is killed would leave the images of one
    set of options under rows of another.
    """
    rows = [{"file_id": row[0]} for row in look_up(connection, _SETTLED, paths, root)]
    if rows:
        connection.execute(_UNSETTLE, rows)


def note_unnamed(connection: Connection, paths: Collection[str]) -> None:
    """Keep, with the rows that no longer name them, which images are to be removed; those noted before are gone."""
    forget_unnamed(connection)
    if paths:
        connection.execute(meta.insert().values(key=_UNNAMED, value=json.dumps(sorted(paths))))


def forget_unnamed(connection: Connection) -> None:
    """All that was noted has been removed."""
    connection.execute(delete(meta).where(meta.c.key == _UNNAMED))


def unnamed_images(connection: Connection) -> list[str]:
    """The images that a run which broke off may have left though no row names them."""
    noted = connection.execute(select(meta.c.value).where(meta.c.key == _UNNAMED)).scalar()
    paths = _listed(noted) if noted else []
    filenames = [path.removesuffix(".png") for path in paths]
    named = {row[0] for row in look_up(connection, _NAMED, filenames)}
    return [path for path, filename in zip(paths, filenames, strict=True) if filename not in named]


def _listed(noted: str) -> list[str]:
    try:
        paths = json.loads(noted)
    except (ValueError, RecursionError):
        paths = None
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        message = f"The database's list of images to be removed is damaged (`{_UNNAMED}` in its table `meta`)."
        raise EnvironmentFault(f"{message} Restore a copy of the database.")
    return paths
