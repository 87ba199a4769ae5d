"""What is known of DICOMDIR files whose media are still there."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, and_, exists, or_, select

from dicomprep.database.bulk import scan
from dicomprep.database.queries.roots import lie_in
from dicomprep.database.schema import files
from dicomprep.database.source_schema import dicomdirs
from dicomprep.storage.roots import Part

__all__ = ["differing_dicomdirs", "paths_of_inputs"]


def differing_dicomdirs(connection: Connection) -> Iterator[Any]:
    """Rows of those that refer to other files than there are."""
    there = and_(files.c.root == dicomdirs.c.root, files.c.path == dicomdirs.c.path, files.c.absent_since.is_(None))
    differing = or_(dicomdirs.c.missing > 0, dicomdirs.c.unreferenced > 0)
    statement = select(dicomdirs).where(differing, exists().where(there))
    yield from connection.execute(statement.order_by(dicomdirs.c.root, dicomdirs.c.path)).all()


def paths_of_inputs(connection: Connection, part: Part) -> Iterator[str]:
    """Of the inputs in a part that are there, in order, below its folder."""
    statement = select(files.c.path).where(lie_in(part), files.c.absent_since.is_(None)).order_by(files.c.path)
    for rows in scan(connection, statement):
        yield from (str(row[0]).removeprefix(part.prefix) for row in rows)
