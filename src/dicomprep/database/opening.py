"""A database for those who only read it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from dicomprep.database.connection import connect, database_folder, migrate, reading
from dicomprep.database.queries import runs

__all__ = ["images_folder", "open_for_reading"]


@contextmanager
def open_for_reading(db: str) -> Iterator[Connection]:
    """A connection that cannot write, gone at the end of the block; EnvironmentFault where the database fails."""
    engine = connect(db, must_exist=True)
    try:
        migrate(engine)
        with reading(engine.execution_options(postgresql_readonly=True)) as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA query_only = ON")
            yield connection
    finally:
        engine.dispose()


def images_folder(connection: Connection, db: str) -> Path:
    """The folder below which the images of a database lie; where there is no image yet, that of the database."""
    return (database_folder(db) or Path()) / (runs.output_dir(connection) or "")
