"""Options of earlier runs."""

import json

from sqlalchemy import Connection, or_, select

from dicomprep.database.schema import runs
from dicomprep.splits import Splits

__all__ = ["WORKED", "last_splits", "newest_options"]

WORKED = or_(runs.c.processed > 0, runs.c.interrupted == 0)
"""Whether a run was not given up before it processed anything."""


def newest_options(connection: Connection) -> str | None:
    """The options, as JSON, of the newest run that was not given up before it processed anything; None without one."""
    return connection.execute(select(runs.c.options).where(WORKED).order_by(runs.c.id.desc()).limit(1)).scalar()


def last_splits(connection: Connection) -> Splits:
    """The options of the newest run for splits."""
    recorded = connection.execute(select(runs.c.options).order_by(runs.c.id.desc()).limit(1)).scalar()
    return Splits(**json.loads(recorded)["splits"]) if recorded else Splits()
