"""What says which series of an examination an image is of: plane, kernel, contrast, weighting and what divides it."""

from sqlalchemy import Connection

from dicomprep.database.migrations.m0017_kinds import tags_view

__all__ = ["upgrade"]

_TEXTS = tuple(f"{name}{ending}" for name in ("plane", "kernel", "contrast", "weighting") for ending in ("", "_reason"))
_COLUMNS = {name: "TEXT" if name.endswith("_reason") else "VARCHAR(16)" for name in _TEXTS} | {
    "inversion_time_ms": "FLOAT",
    "b_values": "TEXT",
    "trigger_time_ms": "FLOAT",
    "cardiac_phase_percent": "FLOAT",
}


def upgrade(connection: Connection) -> None:
    """Add columns. The next run reads the headers of all recorded images again, and nothing else of them."""
    for name, type_ in _COLUMNS.items():
        connection.exec_driver_sql(f"ALTER TABLE files ADD COLUMN {name} {type_}")
    connection.exec_driver_sql("UPDATE files SET header_due = 1 WHERE frames > 0")
    connection.exec_driver_sql("DROP VIEW tags")
    connection.exec_driver_sql(tags_view(_COLUMNS))
