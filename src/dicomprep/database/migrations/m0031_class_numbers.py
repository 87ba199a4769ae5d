"""Classes have numbers, which nothing changes: those that labels have now keep the numbers that data sets gave them."""

from sqlalchemy import Connection

__all__ = ["upgrade"]

MAX_CLASSES = 200
"""Of what is labeled with more, the labels are numbers or texts, and no classes."""

_UNCERTAIN = " (uncertain)"


def upgrade(connection: Connection) -> None:
    """Number the classes of labels in alphabetical order, as before; then those that no label has."""
    kind = {"sqlite": "INTEGER", "postgresql": "BIGINT"}[connection.dialect.name]
    connection.exec_driver_sql(f"ALTER TABLE classes ADD COLUMN number {kind}")
    rows = connection.exec_driver_sql("SELECT id, name FROM classes ORDER BY id")
    listed = {str(name): int(key) for key, name in rows}
    used = _labeled(connection)
    ordered = [*(name for name in sorted(used) if name in listed), *(name for name in listed if name not in used)]
    if len(used | listed.keys()) <= MAX_CLASSES:
        ordered = [*sorted(used), *(name for name in listed if name not in used)]
    for number, name in enumerate(ordered):
        if name in listed:
            connection.exec_driver_sql(f"UPDATE classes SET number = {number} WHERE id = {listed[name]}")  # noqa: S608
        else:
            _add(connection, name, number)


def _add(connection: Connection, name: str, number: int) -> None:
    mark = {"sqlite": "?", "postgresql": "%s"}[connection.dialect.name]
    statement = f"INSERT INTO classes (name, created_at, number) VALUES ({mark}, '', {number})"  # noqa: S608
    connection.exec_driver_sql(statement, (name,))


def _labeled(connection: Connection) -> set[str]:
    """The classes that labels of images and of wider units have."""
    statement = "SELECT label FROM standing UNION SELECT label FROM unit_labels"
    labels = [str(label) for (label,) in connection.exec_driver_sql(statement) if label is not None]
    return {name.removesuffix(_UNCERTAIN) for label in labels for name in label.split(",") if name}
