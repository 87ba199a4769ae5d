"""Everything that is audited, in the order in which it is shown."""

from collections.abc import Callable, Sequence
from pathlib import Path

from dicomprep.checks.audit.duplicates import exact_duplicates, near_duplicates
from dicomprep.checks.audit.patients import classes, patients, shares
from dicomprep.checks.audit.section import Ground, Section
from dicomprep.checks.audit.small_groups import small_groups
from dicomprep.database.connection import connect, database_folder, migrate, reading
from dicomprep.database.queries.runs import output_dir

__all__ = ["SECTIONS", "audit"]

SECTIONS: Sequence[Callable[[Ground], Section]] = (patients, shares, exact_duplicates, near_duplicates, classes)


def audit(db: str, *, near: bool = True, k: int = 0) -> list[Section]:
    """Look at a database and its thumbnails; nothing is changed. With `k`, also for groups of fewer patients."""
    engine = connect(db, must_exist=True)
    migrate(engine)
    with reading(engine) as connection:
        folder = (database_folder(db) or Path()) / (output_dir(connection) or "")
        ground = Ground(connection, folder, near, k)
        sections = [section(ground) for section in (*SECTIONS, *([small_groups] if k else []))]
    engine.dispose()
    return sections
