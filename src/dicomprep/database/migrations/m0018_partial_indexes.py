"""Two indexes of `files` hold only the rows that are looked up by them, so that a run writes the others faster."""

from sqlalchemy import Connection

__all__ = ["upgrade"]

_INDEXES = (
    "DROP INDEX files_by_frame_stem",
    "CREATE INDEX files_by_frame_stem ON files (frame_stem) WHERE frame_stem IS NOT NULL",
    "DROP INDEX files_by_status",
    "CREATE INDEX files_by_failure ON files (error_code) WHERE status NOT IN ('done', 'skipped')",
)


def upgrade(connection: Connection) -> None:
    """Make them anew."""
    for statement in _INDEXES:
        connection.exec_driver_sql(statement)
