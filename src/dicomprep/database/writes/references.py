"""What files say of images of others: written with the file, in place of what it said before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete

from dicomprep.database.bulk import insert
from dicomprep.database.reference_schema import image_references
from dicomprep.models import Outcome, Status
from dicomprep.privacy.references import Reference

__all__ = ["replace_references"]

_FORGET = delete(image_references).where(image_references.c.file_id == bindparam("known_id"))


@dataclass(slots=True)
class ReferenceRow:
    """A row of `image_references`."""

    file_id: int
    position: int
    statement: Reference


def replace_references(connection: Connection, known: Sequence[int], recorded: Iterable[tuple[int, Outcome]]) -> None:
    """Write the references of files (by id); those of `known` files, which were recorded before, are removed."""
    if known:
        connection.execute(_FORGET, [{"known_id": file_id} for file_id in known])
    rows = [
        ReferenceRow(file_id, position, statement._replace(kind=str(statement.kind)))
        for file_id, outcome in recorded
        if outcome.status is not Status.UNSTABLE
        for position, statement in enumerate(outcome.references.rows)
    ]
    insert(connection, image_references, rows, key=("file_id", "position"), replace=True)
