"""Inputs that are no longer there, and how many labelled images changed their side in a run."""

from sqlalchemy import Connection

__all__ = ["upgrade"]

_CHANGES = """
ALTER TABLE files ADD COLUMN absent_since BIGINT;
CREATE INDEX files_by_absence ON files (root, id) WHERE absent_since IS NOT NULL;
ALTER TABLE runs ADD COLUMN changed_side INTEGER NOT NULL DEFAULT 0
"""


def upgrade(connection: Connection) -> None:
    """Add columns; nothing is known to be absent until the next run has looked."""
    for statement in _CHANGES.split(";"):
        connection.exec_driver_sql(statement)
