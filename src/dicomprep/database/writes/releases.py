"""Who released which frame: a log, nothing of which is ever overwritten."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.connection import write_meta
from dicomprep.database.queries.releases import HOLDS, holds
from dicomprep.database.schema import frames, releases
from dicomprep.database.writes.rows import now
from dicomprep.database.writes.series import mark_all_series
from dicomprep.database.writes.store import Store

__all__ = ["add_releases", "hold_back", "record_releases"]

_DIGESTS = select(frames.c.id, frames.c.digest).where(any_of(frames.c.id))


def hold_back(store: Store, *, on: bool) -> None:
    """Hold risky frames back from now on, or no longer."""
    with store.transaction() as connection:
        if holds(connection) != on:
            mark_all_series(connection)  # those with such frames make no volume
        write_meta(connection, HOLDS, str(int(on)))


def add_releases(store: Store, frame_ids: Sequence[int], *, person: str, released: bool = True) -> int:
    """Record that `person` has looked at frames and releases them, or takes that back; how many there are."""
    with store.transaction() as connection:
        return record_releases(connection, frame_ids, person=person, released=released)


def record_releases(connection: Connection, frame_ids: Sequence[int], *, person: str, released: bool) -> int:
    """The same, within a transaction."""
    created_at = now()
    rows = [
        {"frame_id": i, "digest": d, "released": int(released), "person": person, "created_at": created_at}
        for i, d in dict(look_up(connection, _DIGESTS, frame_ids)).items()
    ]
    if rows:
        connection.execute(releases.insert(), rows)
    return len(rows)
