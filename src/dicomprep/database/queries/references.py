"""How much files say of images, and of how many images that are here."""

from typing import NamedTuple

from sqlalchemy import Connection, case, func, select

from dicomprep.database.reference_schema import image_references, references
from dicomprep.errors import count_of

__all__ = ["DescribedCount", "count_references", "describe_references"]

MAX_JOINED_REFERENCES = 1_000_000
"""References that a run looks up the images of when it ends; takes four seconds. `status` does it for any number."""


class DescribedCount(NamedTuple):
    """What is said by files in one way, such as by segments."""

    kind: str
    files: int
    references: int
    here: int
    """References to images that are in the database."""


def count_references(connection: Connection) -> list[DescribedCount]:
    """By kind. A reference to a file as a whole counts once, however many frames that has."""
    columns = references.c
    found = func.max(case((columns.image_id.is_(None), 0), else_=1)).label("is_here")
    each = select(columns.kind, columns.file_id, found).group_by(columns.kind, columns.file_id, columns.position)
    said = each.subquery()
    counts = func.count(said.c.file_id.distinct()), func.count(), func.sum(said.c.is_here)
    statement = select(said.c.kind, *counts).group_by(said.c.kind).order_by(said.c.kind)
    return [DescribedCount(kind, files, count, int(here)) for kind, files, count, here in connection.execute(statement)]


def describe_references(connection: Connection, *, of_run: bool = False) -> str:
    """A sentence on all references; empty where there are none. At the end of a run (`of_run`) it may say less."""
    total = int(connection.execute(select(func.count()).select_from(image_references)).scalar_one())
    if not total:
        return ""
    if of_run and total > MAX_JOINED_REFERENCES:
        return f"files that describe images have {total:,} references; `dicomprep status` joins them to the images"
    counts = count_references(connection)
    files = ", ".join(f"{count.files:,} with {count.kind.replace('_', ' ')}s" for count in counts)
    total, here = sum(count.references for count in counts), sum(count.here for count in counts)
    return f"files that describe images: {files}; {count_of(total, 'reference')}, {here:,} to images that are here"
