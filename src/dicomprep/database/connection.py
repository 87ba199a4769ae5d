"""Opening a database: where it is, its journal mode, its version."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from dicomprep.database import schema
from dicomprep.database.address import DatabaseAddress
from dicomprep.database.bulk import copy_rows
from dicomprep.database.errors import database_fault
from dicomprep.database.migrations import MIGRATIONS, SCHEMA_VERSION
from dicomprep.database.sqlite import ATTEMPT_SECONDS, BUSY_SECONDS, Patience, journal_mode
from dicomprep.errors import ConfigError, EnvironmentFault

__all__ = [
    "connect",
    "migrate",
    "open_for_reading",
    "read_meta",
    "shown_database",
    "write_meta",
]

RUN_LOCK, MIGRATION_LOCK = 0x44434D00, 0x44434D01
"""Advisory locks in PostgreSQL, within the schema: for the one run there may be, and while the schema is changed."""

SYNCHRONOUS = "EXTRA"
"""How SQLite waits for the disk: as FULL, and the end of a transaction outlives a power loss."""

WRITER_CACHE_KB = 16_384
"""Pages that a writer of SQLite holds: with SQLite's own 2 MB it writes those of its indexes again and again."""

RUN_LOCK_SECONDS = 3.0
"""So long a server may take to notice that the run which held the lock has been killed."""


def connect(
    address: DatabaseAddress, *, must_exist: bool = False, patience: Patience | None = None, alone: bool = False
) -> Engine:
    """Open a SQLite file or a PostgreSQL database; with `patience` for writing, `alone` for a run.

    Raises ConfigError where it cannot be one, EnvironmentFault where it cannot be reached.
    """
    url = address.file_url(must_exist=must_exist) if address.is_file else address.server_url()
    options = _SQLITE if address.is_file else _POSTGRESQL | (_ONE_SESSION if alone else {})
    try:
        engine = create_engine(url, **options)
    except ModuleNotFoundError as error:
        raise ConfigError(f"--db needs the driver {error.name}: pip install dicomprep[postgres]") from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigError(f"--db {address}: there is no driver for {url.drivername}.") from error
    if address.is_file:
        _listen_sqlite(engine, str(url.database), patience)
    else:
        event.listen(engine, "connect", partial(_prepare_postgresql, alone=alone))
        for moment in ("do_execute", "do_executemany"):
            event.listen(engine, moment, copy_rows)
    return engine


def shown_database(engine: Engine) -> str:
    """What an engine is connected to, for people: a path, or a URL without a password."""
    url = engine.url
    return str(url.database) if engine.dialect.name == "sqlite" else url.render_as_string(hide_password=True)


def migrate(engine: Engine) -> None:
    """Bring the schema to this version, step by step; EnvironmentFault where the database is newer or unreachable."""
    try:
        with engine.begin() as connection:
            version = _schema_version(connection)
        if version < SCHEMA_VERSION:
            Patience(BUSY_SECONDS).wait_for(partial(_take_steps, engine))
    except DBAPIError as error:
        raise database_fault(shown_database(engine), error) from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection to read with; EnvironmentFault where the database fails."""
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise database_fault(shown_database(engine), error) from error


def read_meta(connection: Connection, key: str) -> str | None:
    """One value of `meta`."""
    return connection.execute(select(schema.meta.c.value).where(schema.meta.c.key == key)).scalar()


def write_meta(connection: Connection, key: str, value: str) -> None:
    """Set one value of `meta`."""
    connection.execute(schema.meta.delete().where(schema.meta.c.key == key))
    connection.execute(schema.meta.insert().values(key=key, value=value))


def _take_steps(engine: Engine) -> None:
    """All steps of migration; another program may take some of them."""
    version = 0
    while version < SCHEMA_VERSION:
        with engine.begin() as connection:
            version = _take_step(connection)


def _take_step(connection: Connection) -> int:
    """One step of migration, unless another program has taken it meanwhile; the version that is there now.

    An empty database takes all of them in one transaction, for each waits for the disk.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK}, hashtext(current_schema()))")
    version = _schema_version(connection)
    if version == SCHEMA_VERSION:
        return version
    target = version + 1 if version else SCHEMA_VERSION
    for step in MIGRATIONS[version:target]:
        step(connection)
    write_meta(connection, "schema_version", str(target))
    return target


def _schema_version(connection: Connection) -> int:
    """What the database holds: 0 for nothing; ConfigError for something else, EnvironmentFault for something newer."""
    tables = inspect(connection).get_table_names()
    version = read_meta(connection, "schema_version") if "meta" in tables else None
    if version is None and ("meta" in tables or (tables and connection.dialect.name == "sqlite")):
        raise ConfigError(
            "This is not a dicomprep database: it holds tables of another program. Choose another with --db."
        )
    if not re.fullmatch(r"[0-9]{1,6}", str(version or 0)):
        raise EnvironmentFault(
            "The database is damaged: its schema version is missing. Restore a backup, or choose another."
        )
    if int(version or 0) > SCHEMA_VERSION:
        message = f"The database was created by a newer dicomprep (schema {version}; supported: {SCHEMA_VERSION})."
        raise EnvironmentFault(f"{message} Upgrade dicomprep to use it.")
    return int(version or 0)


_SQLITE: dict[str, Any] = {"paramstyle": "qmark", "hide_parameters": True}  # values are no part of messages
_POSTGRESQL: dict[str, Any] = {
    "paramstyle": "format",
    "hide_parameters": True,
    "pool_pre_ping": True,  # a session that the server ended between two transactions is replaced
    "connect_args": {"connect_timeout": 10},
}
_ONE_SESSION: dict[str, Any] = {"pool_size": 1, "max_overflow": 0}  # a run's lock is its session's


def _listen_sqlite(engine: Engine, path: str, patience: Patience | None) -> None:
    mode = journal_mode(os.path.dirname(path))

    def prepare(connection: Any, _record: object) -> None:  # noqa: ANN401
        connection.isolation_level = None  # SQLAlchemy begins and ends transactions; the driver must not
        connection.execute(f"PRAGMA busy_timeout = {(ATTEMPT_SECONDS if patience else BUSY_SECONDS) * 1000:.0f}")
        (patience or Patience(0)).wait_for(lambda: connection.execute(f"PRAGMA journal_mode = {mode}"))
        connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
        if patience is not None:
            connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KB}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # what was replaced is gone from the file, too

    def begin(connection: Connection) -> None:
        if patience is None:
            connection.exec_driver_sql("BEGIN")
        else:
            patience.wait_for(lambda: connection.exec_driver_sql("BEGIN IMMEDIATE"))

    def commit(connection: Connection) -> None:
        if patience is not None:  # readers may be in the way; the transaction stands until they have gone
            patience.wait_for(lambda: connection.exec_driver_sql("COMMIT"))

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begin)
    event.listen(engine, "commit", commit)


def _prepare_postgresql(connection: Any, _record: object, *, alone: bool) -> None:  # noqa: ANN401
    """A session that does not wait for ever, and that the server ends when this machine is gone."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{BUSY_SECONDS:g}s'")
        cursor.execute("SET tcp_keepalives_idle = 60")
        connection.commit()
        if alone:
            _take_run_lock(cursor)
        connection.commit()


def _take_run_lock(cursor: Any) -> None:  # noqa: ANN401
    """Keep every other run out of the database for as long as the session lives."""
    end = time.monotonic() + RUN_LOCK_SECONDS
    while True:
        cursor.execute("SELECT pg_try_advisory_lock(%s, hashtext(current_schema()))", (RUN_LOCK,))
        if cursor.fetchone()[0]:
            return
        if time.monotonic() > end:
            raise EnvironmentFault("Another run is writing to the database. Wait for it, or choose another --db.")
        time.sleep(0.1)


@contextmanager
def open_for_reading(address: DatabaseAddress) -> Iterator[Connection]:
    """A connection that cannot write, gone at the end of the block; EnvironmentFault where the database fails."""
    engine = connect(address, must_exist=True)
    try:
        migrate(engine)
        with reading(engine.execution_options(postgresql_readonly=True)) as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA query_only = ON")
            yield connection
    finally:
        engine.dispose()
