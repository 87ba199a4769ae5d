"""What is known of sources besides their inputs: archives that were read to their end, and what DICOMDIRs refer to."""

from sqlalchemy import Connection

__all__ = ["upgrade"]

_ARCHIVES = """CREATE TABLE archives (
    root TEXT NOT NULL,
    prefix TEXT NOT NULL,
    size BIGINT NOT NULL,
    mtime_ns BIGINT NOT NULL,
    ctime_ns BIGINT NOT NULL,
    version_tag TEXT NOT NULL,
    others TEXT NOT NULL,
    PRIMARY KEY (root, prefix)
)"""

_DICOMDIRS = """CREATE TABLE dicomdirs (
    root TEXT NOT NULL,
    path TEXT NOT NULL,
    references_count BIGINT NOT NULL,
    missing BIGINT NOT NULL,
    missing_names TEXT NOT NULL,
    unreferenced BIGINT NOT NULL,
    unreferenced_names TEXT NOT NULL,
    PRIMARY KEY (root, path)
)"""


def upgrade(connection: Connection) -> None:
    """Both are empty at first: the next run fills them."""
    connection.exec_driver_sql(_ARCHIVES)
    connection.exec_driver_sql(_DICOMDIRS)
