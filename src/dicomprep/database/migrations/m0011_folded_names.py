"""Names as disks compare them that tell no capitals; what a folder is called where it stands for a patient."""

import re
from unicodedata import normalize

from sqlalchemy import Connection

__all__ = ["upgrade"]

_COLUMNS = """
DROP INDEX files_by_name;
DROP INDEX files_by_frame_stem;
ALTER TABLE files ADD COLUMN folded_name TEXT;
ALTER TABLE files ADD COLUMN group_folder TEXT
"""

_INDEXES = """
CREATE INDEX files_by_folded_name ON files (folded_name);
CREATE INDEX files_by_frame_stem ON files (frame_stem)
"""

_NEXT = "SELECT id, name FROM files WHERE id > {mark} ORDER BY id LIMIT 10000"
_FILLED = "UPDATE files SET folded_name = {mark}, frame_stem = {mark} WHERE id = {mark}"

_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


def upgrade(connection: Connection) -> None:
    """Fold the names that are recorded; they stay what they are, also where two differ in capitals alone."""
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    for statement in _COLUMNS.split(";"):
        connection.exec_driver_sql(statement)
    after = 0
    while rows := connection.exec_driver_sql(_NEXT.format(mark=mark), (after,)).all():
        after = rows[-1][0]
        folded = [(_folded(name), file_id) for file_id, name in rows]
        connection.exec_driver_sql(_FILLED.format(mark=mark), [(name, _frame_stem(name), i) for name, i in folded])
    for statement in _INDEXES.split(";"):
        connection.exec_driver_sql(statement)


def _folded(name: str) -> str:
    """A name as `storage.naming` folded it in the release that brought this step."""
    if name.isascii():
        return name.lower()
    return normalize("NFC", normalize("NFD", _INVISIBLE.sub("", name)).casefold())


def _frame_stem(name: str) -> str | None:
    stem, _, number = name.rpartition("_frame")
    return stem if stem and len(number) >= 4 and number.isdecimal() else None
