"""Opening a database: where it is, its journal mode, its version."""

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from dicomprep.database import schema
from dicomprep.database.migrations import MIGRATIONS, SCHEMA_VERSION
from dicomprep.errors import ConfigError, EnvironmentFault

__all__ = ["connect", "database_folder", "displayed_database", "is_sqlite_path", "migrate", "read_meta", "write_meta"]

BUSY_SECONDS = 30
_WHICH_DATABASE = "--db: give a file's path or a postgresql:// URL."
FIRST_SAFE_WAL = (3, 51, 3)
"""Before it, SQLite can corrupt a write-ahead log when two connections write or checkpoint."""


def is_sqlite_path(db: str) -> bool:
    """Whether `db` is a file's path rather than a URL."""
    return "://" not in db


def displayed_database(db: str) -> str:
    """The path or URL as it may be shown and kept: without a password."""
    if is_sqlite_path(db):
        return db
    try:
        return make_url(db).render_as_string(hide_password=True)
    except ArgumentError as error:
        raise ConfigError(_WHICH_DATABASE) from error


def database_folder(db: str) -> Path | None:
    """The folder of a SQLite database; None for a server."""
    return Path(db).absolute().parent if is_sqlite_path(db) else None


def connect(db: str, *, must_exist: bool = False) -> Engine:
    """Open a SQLite file or a PostgreSQL URL.

    Raises ConfigError where it cannot be one, EnvironmentFault where it cannot be reached.
    """
    if must_exist and is_sqlite_path(db) and not Path(db).is_file():
        raise ConfigError(f"There is no database {db} yet; `dicomprep preprocess DICOM_DIR` makes it.")
    try:
        url = URL.create("sqlite", database=str(Path(db).absolute())) if is_sqlite_path(db) else make_url(db)
    except ArgumentError as error:
        raise ConfigError(_WHICH_DATABASE) from error
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise ConfigError(_WHICH_DATABASE)
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    try:
        engine = create_engine(url, paramstyle="qmark" if url.get_backend_name() == "sqlite" else "format")
    except ModuleNotFoundError as error:
        raise ConfigError(f"--db needs the driver {error.name}: pip install dicomprep[postgres]") from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigError(_WHICH_DATABASE) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    return engine


def migrate(engine: Engine) -> None:
    """Bring the schema to this version, step by step; EnvironmentFault where the database is newer or unreachable."""
    try:
        with engine.begin() as connection:
            version = _schema_version(connection)
        if version > SCHEMA_VERSION:
            message = f"The database is of a newer dicomprep (schema {version}, this one knows {SCHEMA_VERSION})."
            raise EnvironmentFault(f"{message} Upgrade dicomprep to use it.")
        for number in range(version, SCHEMA_VERSION):
            with engine.begin() as connection:
                MIGRATIONS[number](connection)
                write_meta(connection, "schema_version", str(number + 1))
    except OperationalError as error:
        raise EnvironmentFault(f"The database cannot be used: {error.orig}") from error
    except DBAPIError as error:
        raise EnvironmentFault(f"This is no database of dicomprep: {error.orig}") from error


def read_meta(connection: Connection, key: str) -> str | None:
    """One value of `meta`."""
    return connection.execute(select(schema.meta.c.value).where(schema.meta.c.key == key)).scalar()


def write_meta(connection: Connection, key: str, value: str) -> None:
    """Set one value of `meta`."""
    connection.execute(schema.meta.delete().where(schema.meta.c.key == key))
    connection.execute(schema.meta.insert().values(key=key, value=value))


def _schema_version(connection: Connection) -> int:
    tables = inspect(connection).get_table_names()
    version = read_meta(connection, "schema_version") if "meta" in tables else None
    if version is None and ("meta" in tables or (tables and connection.dialect.name == "sqlite")):
        raise ConfigError("The database holds tables that are not of dicomprep. Choose another with --db.")
    return int(version or 0)


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401
    connection.isolation_level = None  # SQLAlchemy begins and ends transactions; the driver must not
    version = tuple(int(part) for part in sqlite3.sqlite_version.split("."))
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    connection.execute(f"PRAGMA journal_mode = {'WAL' if version >= FIRST_SAFE_WAL else 'DELETE'}")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")
