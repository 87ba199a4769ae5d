"""What earlier runs were asked for."""

from sqlalchemy import Connection, func, or_, select

from dicomprep.database.schema import files, runs

__all__ = ["count_made_otherwise", "newest_options"]


def newest_options(connection: Connection) -> str | None:
    """The options, as JSON, of the newest run that was not given up before it processed anything; None without one."""
    worked = or_(runs.c.processed > 0, runs.c.interrupted == 0)
    return connection.execute(select(runs.c.options).where(worked).order_by(runs.c.id.desc()).limit(1)).scalar()


def count_made_otherwise(connection: Connection, root: str, fingerprint: str) -> int:
    """How many inputs below a readable root were recorded under another fingerprint.

    Quick where the first one was not; "" is what is due to be done again in any case.
    """
    recorded = (files.c.root == root) & (files.c.fingerprint != "")
    first = connection.execute(select(files.c.fingerprint).where(recorded).limit(1)).scalar()
    if first in (None, fingerprint):
        return 0
    others = select(func.count()).select_from(files).where(recorded, files.c.fingerprint != fingerprint)
    return int(connection.execute(others).scalar_one())
