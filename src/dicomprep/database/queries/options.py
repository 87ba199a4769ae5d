"""Options of earlier runs."""

from sqlalchemy import Connection, or_, select

from dicomprep.database.schema import runs

__all__ = ["newest_options"]


def newest_options(connection: Connection) -> str | None:
    """The options, as JSON, of the newest run that was not given up before it processed anything; None without one."""
    worked = or_(runs.c.processed > 0, runs.c.interrupted == 0)
    return connection.execute(select(runs.c.options).where(worked).order_by(runs.c.id.desc()).limit(1)).scalar()
