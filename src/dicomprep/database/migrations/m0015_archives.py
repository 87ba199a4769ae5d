"""What a source's place says of its content besides times: a checksum, an ETag; and which archives were read whole."""

from sqlalchemy import Connection

__all__ = ["upgrade"]

_STEPS = """
ALTER TABLE files ADD COLUMN version_tag TEXT;
CREATE TABLE archives (
    root TEXT NOT NULL,
    path TEXT NOT NULL,
    size BIGINT NOT NULL,
    mtime_ns BIGINT NOT NULL,
    ctime_ns BIGINT NOT NULL,
    other_files BIGINT NOT NULL,
    run_id BIGINT NOT NULL,
    PRIMARY KEY (root, path)
)
"""


def upgrade(connection: Connection) -> None:
    """Both are empty for what earlier releases recorded."""
    for statement in _STEPS.split(";"):
        connection.exec_driver_sql(statement)
