"""Many rows at a time: statements of SQLAlchemy that are compiled once and then run with plain tuples.

Past SQLAlchemy's handling of each value, a row costs hardly more than the database itself takes for it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Dialect, Select, Table, bindparam, literal_column
from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["any_of", "insert", "look_up"]

BATCH_VALUES = 256
"""Values looked up by one statement: always as many, so that the database prepares it once."""


def any_of(column: ColumnElement[Any]) -> ColumnElement[bool]:
    """The condition of a query for `look_up`: the column has one of the values."""
    return column.in_([bindparam(f"value_{number}", type_=column.type) for number in range(BATCH_VALUES)])


def look_up(
    connection: Connection, query: Select[Any], values: Sequence[object], *first: object
) -> Iterator[tuple[Any, ...]]:
    """The rows of a query whose last condition is `any_of`, for any number of values.

    `first` are the query's other parameters in their order. The query is a constant: it is compiled once.
    """
    text = _query_text(query, connection.dialect)
    for start in range(0, len(values), BATCH_VALUES):
        piece = tuple(values[start : start + BATCH_VALUES])
        piece += piece[-1:] * (BATCH_VALUES - len(piece))
        yield from connection.exec_driver_sql(text, first + piece).all()


def insert(
    connection: Connection,
    table: Table,
    rows: "Sequence[DataclassInstance]",
    *,
    key: tuple[str, ...],
    replace: bool,
) -> None:
    """Insert rows: dataclasses of one type, whose fields are called like the columns they are for.

    A field whose type is a named tuple is for the columns that are called like the tuple's fields. Of rows with the
    same `key` only one stays: the one that was there, or with `replace` the new one: under the old id, with its
    `attempts` counted. Columns that the type has no field for keep their values.
    """
    if rows:
        statement, values = _insertion(table, type(rows[0]), key, connection.dialect, replace=replace)
        connection.exec_driver_sql(statement, [values(row) for row in rows])


@lru_cache(maxsize=64)
def _query_text(query: Select[Any], dialect: Dialect) -> str:
    return str(query.compile(dialect=dialect))


@lru_cache(maxsize=64)
def _insertion(
    table: Table, kind: "type[DataclassInstance]", key: tuple[str, ...], dialect: Dialect, *, replace: bool
) -> tuple[str, Callable[[object], tuple[object, ...]]]:
    """A statement that inserts rows of a type, and what takes a row's values in the order of its parameters."""
    places = _places(kind)
    names = [column.name for column in table.columns if column.name in places]  # SQLAlchemy's order, too
    if len(names) < len(places):
        raise TypeError(f"{table.name} has no columns {places.keys() - set(names)}")
    statement = (sqlite if dialect.name == "sqlite" else postgresql).insert(table).inline()
    changes: dict[str, Any] = {name: statement.excluded[name] for name in names if name not in key}
    if "attempts" in changes:
        changes["attempts"] = table.c.attempts + literal_column("1")
    if replace:
        statement = statement.on_conflict_do_update(index_elements=key, set_=changes)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=key)
    return str(statement.compile(dialect=dialect, column_keys=names)), attrgetter(*(places[name] for name in names))


def _places(kind: "type[DataclassInstance]") -> dict[str, str]:
    """Where the value of each column is in a row."""
    places: dict[str, str] = {}
    for field in fields(kind):
        parts: tuple[str, ...] | None = getattr(field.type, "_fields", None)
        places |= {field.name: field.name} if parts is None else {part: f"{field.name}.{part}" for part in parts}
    return places
