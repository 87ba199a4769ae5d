"""What a source's place says of its content besides times: a checksum, an ETag."""

from sqlalchemy import Connection

__all__ = ["upgrade"]


def upgrade(connection: Connection) -> None:
    """It is empty for what earlier releases recorded."""
    connection.exec_driver_sql("ALTER TABLE files ADD COLUMN version_tag TEXT")
