"""Archives that can only be read in order: whether all that an unchanged one holds is recorded and still holds."""

import json
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, true

from dicomprep.database.queries.inputs import still_holds
from dicomprep.database.queries.roots import lie_in
from dicomprep.database.schema import files
from dicomprep.database.source_schema import archives
from dicomprep.storage.roots import Part
from dicomprep.storage.source import Version

__all__ = ["count_members", "others_of", "remember"]


def count_members(connection: Connection, archive: Part, version: Version, fingerprint: str) -> int | None:
    """How many inputs are recorded of an archive; None where one of them is due again, or of another version."""
    current = and_(still_holds(fingerprint), _is_of(version), func.coalesce(files.c.header_due, 0) == 0)
    counts = select(func.count(), func.count().filter(current)).where(_lie_in(connection, archive))
    found, up_to_date = connection.execute(counts.where(files.c.absent_since.is_(None))).one()
    return found if found == up_to_date else None


def others_of(connection: Connection, archive: Part, version: Version) -> dict[str, Any] | None:
    """What else an archive of this very version holds; None where it was not read to its end."""
    row = connection.execute(select(archives).where(_is(archive))).one_or_none()
    if row is None or version != Version(row.size, row.mtime_ns, row.ctime_ns, row.version_tag):
        return None
    try:
        return dict(json.loads(row.others))
    except (ValueError, TypeError):
        return None


def remember(connection: Connection, archive: Part, version: Version, others: dict[str, Any]) -> None:
    """Note that all that an archive holds is recorded, and what it holds that is no input."""
    connection.execute(delete(archives).where(_is(archive)))
    size, mtime_ns, ctime_ns, tag = version
    values = {"size": size, "mtime_ns": mtime_ns, "ctime_ns": ctime_ns, "version_tag": tag}
    statement = archives.insert().values(root=archive.root, prefix=archive.prefix, others=json.dumps(others), **values)
    connection.execute(statement)


def _is(archive: Part) -> ColumnElement[bool]:
    return and_(archives.c.root == archive.root, archives.c.prefix == archive.prefix)


def _is_of(version: Version) -> ColumnElement[bool]:
    """Whether an input was recorded of that version of its archive."""
    tag = func.coalesce(files.c.version_tag, "")
    changed = func.coalesce(files.c.ctime_ns, 0)
    same_tag = tag.endswith(version.tag, autoescape=True) if version.tag else true()
    return and_(files.c.mtime_ns == version.mtime_ns, or_(changed == 0, changed == version.ctime_ns), same_tag)


def _lie_in(connection: Connection, archive: Part) -> ColumnElement[bool]:
    """Found by the index of paths where texts are compared byte by byte."""
    if not archive.prefix or connection.dialect.name != "sqlite":
        return lie_in(archive)
    return and_(lie_in(archive), files.c.path >= archive.prefix, files.c.path < f"{archive.prefix[:-1]}0")
