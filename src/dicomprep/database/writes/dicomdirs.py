"""How DICOMDIR files differ from what is there."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete

from dicomprep.database.source_schema import dicomdirs

__all__ = ["record_dicomdir"]


def record_dicomdir(
    connection: Connection,
    root: str,
    path: str,
    *,
    references: int,
    missing: tuple[int, Sequence[str]],
    unreferenced: tuple[int, Sequence[str]],
) -> None:
    """Replace what is known of one: how many files are missing and not referenced, and the names of some."""
    connection.execute(delete(dicomdirs).where(dicomdirs.c.root == root, dicomdirs.c.path == path))
    names = {"missing_names": "\n".join(missing[1]), "unreferenced_names": "\n".join(unreferenced[1])}
    counts = {"references_count": references, "missing": missing[0], "unreferenced": unreferenced[0]}
    connection.execute(dicomdirs.insert().values(root=root, path=path, **counts, **names))
