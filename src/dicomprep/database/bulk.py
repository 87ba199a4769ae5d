"""Many rows at a time: statements of SQLAlchemy that are compiled once and then run with plain tuples.

Past SQLAlchemy's handling of each value, a row costs hardly more than the database itself takes for it.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Dialect, Select, Table, bindparam, literal_column
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["any_of", "insert", "look_up"]

PIECE = 256
"""So many values are looked up by one statement: always as many, so that the database prepares it once."""

RESOLVED_LATER = ("id", "joined_id", "drawn_split", "duplicate_of", "absent_since")
"""Columns that are not inserted, and that stay what they are in a row that is replaced."""


def any_of(column: ColumnElement[Any]) -> ColumnElement[bool]:
    """The condition of a query for `look_up`: the column has one of the values."""
    return column.in_([bindparam(f"value_{number}", type_=column.type) for number in range(PIECE)])


def look_up(
    connection: Connection, query: Select[Any], values: Sequence[object], *first: object
) -> Iterator[tuple[Any, ...]]:
    """The rows of a query whose last condition is `any_of`, for any number of values.

    `first` are the query's other parameters in their order. The query is a constant: it is compiled once.
    """
    text = _query_text(query, connection.dialect)
    for start in range(0, len(values), PIECE):
        piece = tuple(values[start : start + PIECE])
        piece += piece[-1:] * (PIECE - len(piece))
        yield from connection.exec_driver_sql(text, first + piece).all()


def insert(
    connection: Connection,
    table: Table,
    rows: list[tuple[object, ...]],
    *,
    key: tuple[str, ...],
    replace: bool,
) -> None:
    """Insert rows, each the table's columns in their order without those of `RESOLVED_LATER`.

    Of rows with the same `key` only one stays: the one that was there, or with `replace` the new one: under the old id,
    with its `attempts` counted.
    """
    if rows:
        connection.exec_driver_sql(_insert_text(table, key, connection.dialect, replace=replace), rows)


@lru_cache(maxsize=64)
def _query_text(query: Select[Any], dialect: Dialect) -> str:
    return str(query.compile(dialect=dialect))


@lru_cache(maxsize=64)
def _insert_text(table: Table, key: tuple[str, ...], dialect: Dialect, *, replace: bool) -> str:
    statement = (sqlite if dialect.name == "sqlite" else postgresql).insert(table).inline()
    names = [column.name for column in table.columns if column.name not in RESOLVED_LATER]
    changes: dict[str, Any] = {name: statement.excluded[name] for name in names if name not in key}
    if "attempts" in changes:
        changes["attempts"] = table.c.attempts + literal_column("1")
    if replace:
        statement = statement.on_conflict_do_update(index_elements=key, set_=changes)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=key)
    return str(statement.compile(dialect=dialect, column_keys=names))
