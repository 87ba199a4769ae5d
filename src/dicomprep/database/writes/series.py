"""Make the facts of series again of which something has changed."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, select

from dicomprep.database.bulk import append
from dicomprep.database.queries.series_facts import derive_series
from dicomprep.database.queries.slice_order import PlacedSlice
from dicomprep.database.schema import files
from dicomprep.database.series_schema import series_facts, series_slices, stale_series
from dicomprep.database.writes.store import Store

__all__ = ["mark_all_series", "refresh_series"]

BATCH_SERIES = 100
"""Series whose facts are made in one transaction; bounds memory, and how long others wait."""


_SLICES = ("series_key", "place", *PlacedSlice._fields)


def refresh_series(store: Store) -> None:
    """Make the facts of all series anew that were noted as stale, in short transactions."""
    while True:
        with store.transaction() as connection:
            if connection.dialect.name == "postgresql":  # a note that comes while facts are made stays
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            keys = _stale(connection)
            if not keys:
                return
            _refresh(connection, keys)


def mark_all_series(connection: Connection) -> None:
    """Note that all series have to be looked at again."""
    keys = select(files.c.series_key).where(files.c.series_key.is_not(None)).distinct()
    connection.execute(stale_series.insert().from_select(["series_key"], keys))


def _stale(connection: Connection) -> Sequence[str]:
    """Of the index in which they are in order: no more than these are looked at."""
    statement = select(stale_series.c.series_key).distinct().order_by(stale_series.c.series_key).limit(BATCH_SERIES)
    return connection.execute(statement).scalars().all()


def _refresh(connection: Connection, keys: Sequence[str]) -> None:
    for table in (stale_series, series_facts, series_slices):
        connection.execute(delete(table).where(table.c.series_key.in_(keys)))
    derived = list(derive_series(connection, keys))
    if derived:
        connection.execute(series_facts.insert(), [series.facts for series in derived])
        rows = [(one.key, place, *placed) for one in derived for place, placed in enumerate(one.order)]
        append(connection, series_slices, _SLICES, rows)
