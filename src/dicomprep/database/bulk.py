"""Many rows at a time: statements of SQLAlchemy that are compiled once and then run with plain tuples.

Past SQLAlchemy's handling of each value, a row costs hardly more than the database itself takes for it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Dialect, Select, Table, column, literal_column
from sqlalchemy import table as named_table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["any_of", "append", "copy_rows", "insert", "look_up", "scan"]

BATCH_VALUES = 256
"""Values that SQLite looks up by one statement: always as many, so that it prepares it once."""


SCAN_ROWS = 10_000
"""Rows that are in memory at once when all are read."""


class _AnyOf(ColumnElement[bool]):
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        self.column = column


@compiles(_AnyOf, "sqlite")
def _compile_in(element: _AnyOf, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"{compiler.process(element.column, **options)} IN ({', '.join('?' * BATCH_VALUES)})"


@compiles(_AnyOf, "postgresql")
def _compile_any(element: _AnyOf, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"{compiler.process(element.column, **options)} = ANY(%s)"


def any_of(column: ColumnElement[Any]) -> ColumnElement[bool]:
    """The condition of a query for `look_up`: the column has one of the values."""
    return _AnyOf(column)


def look_up(
    connection: Connection, query: Select[Any], values: Sequence[object], *first: object
) -> Iterator[tuple[Any, ...]]:
    """The rows of a query whose last condition is `any_of`, for any number of values.

    `first` are the query's other parameters in their order. The query is a constant: it is compiled once.
    """
    text = _query_text(query, connection.dialect)
    for piece in _pieces(values) if connection.dialect.name == "sqlite" else _array(values):
        yield from connection.exec_driver_sql(text, (*first, *piece)).all()


def _pieces(values: Sequence[object]) -> Iterator[tuple[object, ...]]:
    for start in range(0, len(values), BATCH_VALUES):
        piece = tuple(values[start : start + BATCH_VALUES])
        yield piece + piece[-1:] * (BATCH_VALUES - len(piece))


def _array(values: Sequence[object]) -> Iterator[tuple[object, ...]]:
    """All of them as one parameter: a server is asked once."""
    if values:
        yield (list(values),)


def scan(connection: Connection, query: Select[Any]) -> Iterator[Sequence[Sequence[Any]]]:
    """The rows of a query that gives millions, a list at a time."""
    yield from connection.execute(query.execution_options(yield_per=SCAN_ROWS)).partitions()


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
    if not rows:
        return
    insertion = _insertion(table, type(rows[0]), key, connection.dialect, replace=replace)
    if not insertion.copy:
        connection.exec_driver_sql(insertion.statement, [insertion.values(row) for row in rows])
        return
    for distinct in _rounds(rows, insertion.key):
        connection.exec_driver_sql(insertion.prepare)
        connection.exec_driver_sql(insertion.copy, [insertion.values(row) for row in distinct])
        connection.exec_driver_sql(insertion.statement)


def append(connection: Connection, table: Table, names: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
    """Append rows to a log; `names` are the columns of their values. The database numbers them in their order."""
    if not rows:
        return
    columns = ", ".join(names)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(names))
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({columns}) VALUES ({marks})", list(rows))  # noqa: S608
    else:
        connection.exec_driver_sql(f"COPY {table.name} ({columns}) FROM STDIN", list(rows))


def _rounds(
    rows: "Sequence[DataclassInstance]", key: Callable[[object], object]
) -> "Iterable[Sequence[DataclassInstance]]":
    """The rows in parts in which none has another's key: PostgreSQL's statement changes no row twice."""
    met: Counter[object] = Counter()
    rounds: defaultdict[int, list[DataclassInstance]] = defaultdict(list)
    for row in rows:
        rounds[met[key(row)]].append(row)
        met[key(row)] += 1
    return rounds.values()


def copy_rows(cursor: Any, statement: str, _parameters: object, context: Any) -> bool:  # noqa: ANN401
    """How the driver of PostgreSQL executes COPY: all rows as one stream. Other statements are not its business."""
    if not statement.startswith("COPY "):
        return False
    with cursor.copy(statement) as stream:
        for row in context.parameters:
            stream.write_row(row)
    return True


@lru_cache(maxsize=64)
def _query_text(query: Select[Any], dialect: Dialect) -> str:
    return str(query.compile(dialect=dialect))


@dataclass(frozen=True, slots=True)
class _Insertion:
    """How rows of a type are inserted."""

    values: Callable[[object], tuple[object, ...]]
    """Takes a row's values in the order of the columns."""
    key: Callable[[object], object]
    """Takes what tells a row from others."""
    statement: str
    """SQLite's is for one row. PostgreSQL's is for all that were copied to a temporary table."""
    prepare: str = ""
    """Lets the temporary table be there, and empty."""
    copy: str = ""


@lru_cache(maxsize=64)
def _insertion(
    table: Table, kind: "type[DataclassInstance]", key: tuple[str, ...], dialect: Dialect, *, replace: bool
) -> _Insertion:
    places = _places(kind)
    names = [column.name for column in table.columns if column.name in places]  # SQLAlchemy's order, too
    if len(names) < len(places):
        raise TypeError(f"{table.name} has no columns {places.keys() - set(names)}")
    takes = attrgetter(*(places[name] for name in names)), attrgetter(*(places[name] for name in key))
    if dialect.name == "sqlite":
        statement = _resolve_conflicts(sqlite.insert(table).inline(), table, names, key, replace=replace)
        return _Insertion(*takes, str(statement.compile(dialect=dialect, column_keys=names)))
    quote = dialect.identifier_preparer.quote
    staged, columns = f"new_{table.name}_{kind.__name__}".lower(), ", ".join(map(quote, names))
    like = f"SELECT {columns} FROM {quote(table.name)} WITH NO DATA"  # noqa: S608  (names of our own)
    prepare = f"CREATE TEMPORARY TABLE IF NOT EXISTS {staged} ON COMMIT DELETE ROWS AS {like}; DELETE FROM {staged}"  # noqa: S608
    rows = named_table(staged, *(column(name) for name in names)).select()
    insertion = postgresql.insert(table).from_select(names, rows)
    insertion = _resolve_conflicts(insertion, table, names, key, replace=replace)
    statement = insertion.compile(dialect=dialect)
    return _Insertion(*takes, str(statement), prepare, f"COPY {staged} ({columns}) FROM STDIN")


def _resolve_conflicts(
    statement: Any,  # noqa: ANN401  (each dialect has its own type)
    table: Table,
    names: Sequence[str],
    key: tuple[str, ...],
    *,
    replace: bool,
) -> Any:  # noqa: ANN401
    """Which of two rows with the same key stays."""
    if not replace:
        return statement.on_conflict_do_nothing(index_elements=key)
    changes: dict[str, Any] = {name: statement.excluded[name] for name in names if name not in key}
    if "attempts" in changes:
        changes["attempts"] = table.c.attempts + literal_column("1")
    return statement.on_conflict_do_update(index_elements=key, set_=changes)


def _places(kind: "type[DataclassInstance]") -> dict[str, str]:
    """Where the value of each column is in a row."""
    places: dict[str, str] = {}
    for field in fields(kind):
        parts: tuple[str, ...] | None = getattr(field.type, "_fields", None)
        places |= {field.name: field.name} if parts is None else {part: f"{field.name}.{part}" for part in parts}
    return places
