"""Which files hold what a lossy codec has changed, be it before they were decompressed."""

from sqlalchemy import Connection, column, table, update

__all__ = ["upgrade"]

_LOSSY_SYNTAXES = [
    f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 52, 53, 54, 55, 56, 81, 91, 93, 111, 112, 203)
]
_FILES = table("files", column("transfer_syntax"), column("is_lossy"))


def upgrade(connection: Connection) -> None:
    """Add a column; until a file is read again, its transfer syntax says it."""
    connection.exec_driver_sql("ALTER TABLE files ADD COLUMN is_lossy INTEGER")
    marked = update(_FILES).where(_FILES.c.transfer_syntax.in_(_LOSSY_SYNTAXES)).values(is_lossy=1)
    connection.execute(marked)
