"""Databases that are damaged in many ways, and the commands that meet them."""

import os
import random
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

VALUES: dict[str, str] = {
    "nothing": "NULL",
    "words": "'nonsense'",
    "empty": "''",
    "bytes": "X'FF00FE'",
    "no utf-8": "CAST(X'61FFFE62' AS TEXT)",
    "a surrogate": "CAST(X'EDA080' AS TEXT)",
    "a NUL": "CAST(X'610062' AS TEXT)",
    "large": "9223372036854775807",
    "negative": "-9223372036854775808",
    "infinite": "9e999",
    "a fraction": "0.5",
    "deep JSON": "replace(hex(zeroblob(20000)), '00', '[')",
    "huge JSON": "'{\"a\": \"' || hex(zeroblob(500000)) || '\"}'",
    "a list": "'[]'",
    "an object": "'{}'",
    "null": "'null'",
    "a way out": "'../../outside/kept.png'",
    "a root": "'/nowhere/at all'",
}
"""SQL of values that a row may have, whatever its column is for."""

Damage = Callable[[Path], None]


def damages(db: Path, *, seed: int = 0) -> Iterator[tuple[str, Damage]]:
    """(name, what to do to a copy of a sound database)."""
    yield from _of_bytes(db.stat().st_size, seed)
    with closing(sqlite3.connect(db)) as connection:
        things = connection.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
        tables = {name: columns_of(connection, name) for kind, name in things if kind == "table"}
        keys = [key for (key,) in connection.execute("SELECT key FROM meta")]
    for kind, name in things:
        if kind != "index":
            yield f"without {kind} {name}", sql(f'DROP {kind} "{name}"')
    for table, columns in tables.items():
        yield f"{table} emptied", sql(f'DELETE FROM "{table}"')
        for column in columns:
            yield f"without {table}.{column}", renamed(table, column)
            for value, text in VALUES.items():
                yield f"{table}.{column}: {value}", sql(f'UPDATE OR IGNORE "{table}" SET "{column}" = {text}')
    for key in keys:
        yield f"meta without {key}", sql(f"DELETE FROM meta WHERE key = '{key}'")
        for value, text in VALUES.items():
            yield f"meta {key}: {value}", sql(f"UPDATE meta SET value = {text} WHERE key = '{key}'")


def _of_bytes(size: int, seed: int) -> Iterator[tuple[str, Damage]]:
    for length in (0, 1, 99, 100, 512, 4095, 4096, size // 2, size - 4096, size - 1):
        yield f"cut to {length}", partial(os.truncate, length=length)
    for page in range(size // 4096):
        noise = random.Random(seed + page).randbytes(4096)
        place = page * 4096 + random.Random(seed + page).randrange(4096 - 16)
        yield f"zeroed page {page}", partial(overwrite, place=page * 4096, content=bytes(4096))
        yield f"random page {page}", partial(overwrite, place=page * 4096, content=noise)
        yield f"random bytes at {place}", partial(overwrite, place=place, content=noise[:16])
    for place in range(16, 100, 4):
        yield f"header {place}", partial(overwrite, place=place, content=b"\xa5\x5a\xff\x7f")


def overwrite(path: Path, place: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(content)


def sql(statement: str) -> Damage:
    """Done without what keeps rows sound: no column refuses a NULL, no trigger and no foreign key is asked."""

    def damage(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for name, _ in triggers:
                if statement != f'DROP trigger "{name}"':
                    connection.execute(f'DROP TRIGGER "{name}"')
            without_conditions(connection)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute(statement)
            for name, text in triggers:
                if statement != f'DROP trigger "{name}"' and not statement.startswith("DROP table"):
                    connection.execute(text)

    return damage


def without_conditions(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA writable_schema = ON")
    for name, text in connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall():
        loose = re.sub(r" NOT NULL(?!.*PRIMARY KEY \()", "", text) if text else text
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (loose, name))
    connection.execute("PRAGMA writable_schema = OFF")


def renamed(table: str, column: str) -> Damage:
    """A column is gone for whoever asks for it, also where views or indexes need it."""

    def damage(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA legacy_alter_table = ON")
            connection.execute(f'ALTER TABLE "{table}" RENAME COLUMN "{column}" TO "{column}_gone"')

    return damage


def columns_of(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]


def copy_of(base: Path, place: Path) -> Path:
    """The data set `base` again, in a folder with another beside it that is nobody's business."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(base, place / "here")
    (place / "outside").mkdir()
    (place / "outside" / "kept.png").write_bytes(b"\x89PNG of somebody else")
    return place / "here"
