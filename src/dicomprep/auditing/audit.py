"""Everything that is audited, in the order in which it is shown."""

from collections.abc import Callable, Sequence
from pathlib import Path

from dicomprep.auditing.duplicates import exact_duplicates, near_duplicates
from dicomprep.auditing.patients import classes, patients, shares
from dicomprep.auditing.section import Ground, Section
from dicomprep.database.connect import connect, database_folder, migrate, reading
from dicomprep.database.queries import output_dir
from dicomprep.database.split_store import join_groups
from dicomprep.database.store import Store

__all__ = ["SECTIONS", "audit", "join"]

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


def join(db: str, sections: Sequence[Section]) -> int:
    """Put the patients that an audit found to be one on one side; how many changed theirs. Labelled ones stay."""
    store = Store(db)
    try:
        with store.transaction() as connection:
            pairs = [pair for section in sections for pair in section.pairs]
            return len(join_groups(connection, pairs, run_id=None, reason="audit"))
    finally:
        store.close()
