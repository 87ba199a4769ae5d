"""Numbers too long to be what their column is for, such as a telephone number in Series Number, are removed."""

from sqlalchemy import Connection

__all__ = ["upgrade"]

_MOST = 999_999
_COLUMNS = {
    "files": ("instance_number", "series_number", "acquisition_number"),
    "frames": ("stack_position", "temporal_position"),
}
"""Those that could hold one: all others had no more than seven digits before."""


def upgrade(connection: Connection) -> None:
    """Change the rows that hold one."""
    for name, columns in _COLUMNS.items():
        kept = ", ".join(f"{column} = CASE WHEN abs({column}) <= {_MOST} THEN {column} END" for column in columns)
        wrong = " OR ".join(f"abs({column}) > {_MOST}" for column in columns)
        connection.exec_driver_sql(f"UPDATE {name} SET {kept} WHERE {wrong}")  # noqa: S608  (names of this file)
