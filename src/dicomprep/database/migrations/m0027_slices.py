"""The images of each series in their order, so that loaders find the neighbors of a slice."""

from sqlalchemy import Connection

__all__ = ["upgrade"]

_TABLES = """
CREATE TABLE series_slices (
    series_key VARCHAR(32) NOT NULL,
    place INTEGER NOT NULL,
    frame_id {id} NOT NULL,
    stack INTEGER NOT NULL,
    PRIMARY KEY (series_key, place)
) {without_rowid};
INSERT INTO stale_series (series_key) SELECT DISTINCT series_key FROM files WHERE series_key IS NOT NULL
"""
_WORDS = {
    "sqlite": {"id": "INTEGER", "without_rowid": "WITHOUT ROWID"},
    "postgresql": {"id": "BIGINT", "without_rowid": ""},
}


def upgrade(connection: Connection) -> None:
    """Make the table, empty. The next run, or whoever asks for series next, puts all series into their order."""
    for statement in _TABLES.format(**_WORDS[connection.dialect.name]).split(";"):
        connection.exec_driver_sql(statement)
