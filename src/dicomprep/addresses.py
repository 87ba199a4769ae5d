"""Where a database is: the ways in which people write it, as one."""

import os
import re
from pathlib import Path

from dicomprep.errors import ConfigError

__all__ = ["is_sqlite_path", "resolve_database"]

_SQLITE_URL = re.compile(r"sqlite(?:\+pysqlite)?:(?://)?", re.IGNORECASE)
_POSTGRES_URL = re.compile(r"postgres(?=(?:\+\w+)?://)", re.IGNORECASE)


def resolve_database(db: str | os.PathLike[str]) -> str:
    """A file's path, of `sqlite:///…` and `~/…` too, or a server's URL with its scheme as SQLAlchemy has it.

    Raises ConfigError where a SQLite URL names no file.

    >>> resolve_database("sqlite:///a.db"), resolve_database("sqlite:////data/a.db"), resolve_database("postgres://host/a")
    ('a.db', '/data/a.db', 'postgresql://host/a')
    """
    text = os.fspath(db)
    scheme = _SQLITE_URL.match(text)
    if scheme is not None and not Path(text).exists():
        path, _, options = text[scheme.end() :].partition("?")
        if not path.startswith("/") or path.strip("/") in ("", ":memory:") or options:
            message = "--db: a SQLite URL is sqlite:///FILE or sqlite:////FOLDER/FILE, without options."
            raise ConfigError(f"{message} Or give the file's path as it is.")
        text = path[1:]
    elif "://" in text:
        return _POSTGRES_URL.sub("postgresql", text, count=1)
    if not text.strip():
        raise ConfigError("--db: give a file's path or a postgresql:// URL.")
    return os.path.expanduser(text)  # noqa: PTH111  (a Path would drop a leading ./)


def is_sqlite_path(db: str) -> bool:
    """Whether a resolved database is a file's path rather than a URL."""
    return "://" not in db
