"""Below which folders inputs are recorded, and which of them lie in a part of one."""

from sqlalchemy import ColumnElement, Connection, bindparam, func, select

from dicomprep.database.bulk import BATCH_VALUES, any_of, look_up
from dicomprep.database.schema import files
from dicomprep.storage.roots import Part

__all__ = [
    "count_headers_due",
    "count_made_otherwise",
    "count_recorded",
    "is_doubled",
    "lie_in",
    "recorded_roots",
]

_AT = select(files.c.id).where(files.c.root == bindparam("root"), any_of(files.c.path))


def lie_in(part: Part) -> ColumnElement[bool]:
    """The condition on `schema.files`: recorded in this part."""
    below = files.c.root == part.root
    return below & (func.substr(files.c.path, 1, len(part.prefix)) == part.prefix) if part.prefix else below


def recorded_roots(connection: Connection) -> list[str]:
    """The folders below which inputs are recorded, as readable paths; one look-up for each of them."""
    roots: list[str] = []
    root = connection.execute(select(func.min(files.c.root))).scalar()
    while root is not None:
        roots.append(root)
        root = connection.execute(select(func.min(files.c.root)).where(files.c.root > root)).scalar()
    return roots


def is_doubled(connection: Connection, root: str, part: Part) -> bool:
    """Whether inputs of a root are recorded a second time, as a part of the folder around it; the first tell."""
    first = connection.execute(select(files.c.path).where(files.c.root == root).limit(BATCH_VALUES)).scalars()
    return any(look_up(connection, _AT, [part.prefix + path for path in first], part.root))


def count_recorded(connection: Connection, part: Part) -> int:
    """How many inputs are recorded in a part."""
    return int(connection.execute(select(func.count()).select_from(files).where(lie_in(part))).scalar_one())


def count_headers_due(connection: Connection, part: Part, fingerprint: str) -> int:
    """How many inputs in a part have only their header to be read again."""
    due = lie_in(part) & files.c.header_due.is_not(None) & (files.c.fingerprint == fingerprint)
    return int(connection.execute(select(func.count()).select_from(files).where(due)).scalar_one())


def count_made_otherwise(connection: Connection, part: Part, fingerprint: str) -> tuple[int, int]:
    """How many inputs in a part were recorded under another fingerprint, and how many images they have.

    Quick where the first one was not; "" is what is due to be done again in any case.
    """
    recorded = lie_in(part) & (files.c.fingerprint != "")
    first = connection.execute(select(files.c.fingerprint).where(recorded).limit(1)).scalar()
    if first in (None, fingerprint):
        return 0, 0
    counted = select(func.count(), func.coalesce(func.sum(files.c.frames), 0)).select_from(files)
    inputs, images = connection.execute(counted.where(recorded, files.c.fingerprint != fingerprint)).one()
    return int(inputs), int(images)
