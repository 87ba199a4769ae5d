"""What is wrong with a database that a command could not work with: told from faults of this program."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, Table, inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import Float, Integer, LargeBinary

from dicomprep.config import SPLIT_NAMES, ImageOptions, Splits
from dicomprep.database import (
    annotation_schema,
    count_schema,
    page_schema,
    picture_schema,
    reference_schema,
    schema,
    source_schema,
)
from dicomprep.database.address import DatabaseAddress
from dicomprep.database.connection import connect, shown_database
from dicomprep.database.errors import database_fault
from dicomprep.database.queries.verify import unsound
from dicomprep.errors import ConfigError, DicomprepError, EnvironmentFault, ErrorCode
from dicomprep.models import Status

__all__ = ["damage_fault"]

_TABLES = dict.fromkeys(
    table
    for one in (schema, annotation_schema, count_schema, page_schema, picture_schema, reference_schema, source_schema)
    for table in vars(one).values()
    if isinstance(table, Table)
)
"""And views."""
_OBJECTS = {("runs", "options"), ("frames", "transform"), ("files", "extra_tags")}
"""Columns of JSON objects."""
_WORDS: dict[tuple[str, str], Iterable[str]] = {
    ("files", "status"): Status,
    ("files", "error_code"): ErrorCode,
    ("groups", "split"): SPLIT_NAMES,
}
_REMEDY = "Restore a backup, or choose another database: its images are then regenerated"


def damage_fault(address: DatabaseAddress, error: Exception) -> EnvironmentFault | None:
    """The fault to raise in place of an error where the database is damaged; None where it is not, or not there.

    It is looked through as a whole, which takes a while: this is for commands that have failed.
    """
    if isinstance(error, DBAPIError):
        return database_fault(str(address), error)
    try:
        engine = connect(address, must_exist=True)
    except DicomprepError:
        return None
    try:
        with engine.connect() as connection:
            found = next(_damage(connection), None)
    except DBAPIError as failure:
        return database_fault(shown_database(engine), failure)
    finally:
        engine.dispose()
    return (
        EnvironmentFault(f"The database {shown_database(engine)} is damaged. {_REMEDY} ({found}).") if found else None
    )


def _damage(connection: Connection) -> Iterator[str]:
    """What is wrong: with the file, with its tables, with their values."""
    yield from unsound(connection)
    known = inspect(connection)
    there = {*known.get_table_names(), *known.get_view_names()}
    for table in _TABLES:
        if table.name not in there:
            yield f"there is no table {table.name}"
        missing = {column.name for column in table.columns} - {
            column["name"] for column in known.get_columns(table.name)
        }
        if missing:
            yield f"the table {table.name} has no column {min(missing)}"
    if connection.dialect.name == "sqlite":  # a server holds columns to their types
        driver: Any = connection.connection.dbapi_connection
        driver.create_function("is_utf8", 1, _is_utf8, deterministic=True)
        for table in _TABLES:
            if table.metadata is not schema.views:
                yield from _wrong_values(connection, table)
    yield from _wrong_options(connection)


def _wrong_values(connection: Connection, table: Table) -> Iterator[str]:
    for column in table.columns:
        wrong = " OR ".join(_conditions(table.name, column))
        statement = f'SELECT rowid FROM "{table.name}" WHERE {wrong} LIMIT 1'  # noqa: S608  (names of our own)
        row = connection.exec_driver_sql(statement).scalar()
        if row is not None:
            yield f"{table.name}.{column.name} of row {row} has a value that no release of dicomprep writes"


def _conditions(table: str, column: Any) -> Iterator[str]:  # noqa: ANN401
    """When a value is none that this program can have written."""
    name, kind = f'"{column.name}"', column.type
    if not column.nullable:
        yield f"{name} IS NULL"
    if isinstance(kind, Integer):
        yield f"typeof({name}) NOT IN ('integer', 'null')"
    elif isinstance(kind, Float):
        yield f"typeof({name}) NOT IN ('real', 'integer', 'null') OR abs({name}) > 1e300"
    elif isinstance(kind, LargeBinary):
        yield f"typeof({name}) NOT IN ('blob', 'null') OR length({name}) != {kind.length}"
    else:
        yield f"typeof({name}) NOT IN ('text', 'null') OR NOT is_utf8(CAST({name} AS BLOB))"
    if (table, column.name) in _OBJECTS:
        yield f"CASE WHEN json_valid({name}) THEN json_type({name}) != 'object' ELSE {name} IS NOT NULL END"
    if words := _WORDS.get((table, column.name)):
        yield f"{name} NOT IN ({', '.join(repr(str(word)) for word in words)})"


def _wrong_options(connection: Connection) -> Iterator[str]:
    """Options of runs that are none."""
    for (recorded,) in connection.execute(select(schema.runs.c.options).distinct()):
        try:
            options = json.loads(recorded)
            ImageOptions(**options["image"])
            Splits(**options["splits"])
        except (ConfigError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            yield "runs.options has a value that no release of dicomprep writes"


def _is_utf8(value: bytes | None) -> bool:
    try:
        return value is None or "\0" not in value.decode()
    except UnicodeDecodeError:
        return False
