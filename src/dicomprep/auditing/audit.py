"""Everything that is audited, in the order in which it is shown."""

from collections.abc import Callable, Sequence
from pathlib import Path

from dicomprep.auditing.duplicates import exact_duplicates, near_duplicates
from dicomprep.auditing.patients import classes, patients, shares
from dicomprep.auditing.section import Ground, Section
from dicomprep.database.connect import connect, database_folder, migrate, reading
from dicomprep.database.queries import output_dir

__all__ = ["SECTIONS", "audit"]

SECTIONS: Sequence[Callable[[Ground], Section]] = (patients, shares, exact_duplicates, near_duplicates, classes)


def audit(db: str, *, near: bool = True) -> list[Section]:
    """Look at a database and its thumbnails; nothing is changed."""
    engine = connect(db, must_exist=True)
    migrate(engine)
    with reading(engine) as connection:
        folder = (database_folder(db) or Path()) / (output_dir(connection) or "")
        ground = Ground(connection, folder, near)
        sections = [section(ground) for section in SECTIONS]
    engine.dispose()
    return sections
