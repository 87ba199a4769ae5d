"""Tombstones: whom and what `forget` removed, so that it does not come back."""

from sqlalchemy import Connection

__all__ = ["upgrade"]


def upgrade(connection: Connection) -> None:
    """Make the table, empty."""
    connection.exec_driver_sql(
        "CREATE TABLE tombstones (key VARCHAR(32) NOT NULL, owner VARCHAR(32) NOT NULL, PRIMARY KEY (key, owner))"
    )
