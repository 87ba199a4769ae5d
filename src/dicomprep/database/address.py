"""Where a database is: the ways in which people write it, as one."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from dicomprep.config import DEFAULT_DB
from dicomprep.errors import ConfigError, EnvironmentFault
from dicomprep.storage.paths import readable_path

__all__ = ["DatabaseAddress"]

_GIVE = "--db: give a file's path or a postgresql:// URL."
_SQLITE_URL = re.compile(r"sqlite(?:\+pysqlite)?:(?://)?", re.IGNORECASE)
_POSTGRES_URL = re.compile(r"postgres(?=(?:\+\w+)?://)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """A SQLite file, or a server's database. As text it has no password."""

    text: str = field(repr=False)
    """The file's path, or the URL with its password."""

    @classmethod
    def parse(cls, text: str | os.PathLike[str]) -> "DatabaseAddress":
        """A file's path, of `sqlite:///…` and `~/…` too, or a server's URL with its scheme as SQLAlchemy has it.

        Raises ConfigError where it is empty, or a URL that names no database.

        >>> [DatabaseAddress.parse(text).text for text in ("sqlite:///a.db", "sqlite:////data/a.db", "postgres://host/a")]
        ['a.db', '/data/a.db', 'postgresql://host/a']
        """
        text = os.fspath(text)
        scheme = _SQLITE_URL.match(text)
        if scheme is not None and not Path(text).exists():
            path, _, options = text[scheme.end() :].partition("?")
            if not path.startswith("/") or path.strip("/") in ("", ":memory:") or options:
                message = "--db: a SQLite URL is sqlite:///FILE or sqlite:////FOLDER/FILE, without options."
                raise ConfigError(f"{message} Or give the file's path as it is.")
            text = path[1:]
        elif "://" in text:
            return cls(_POSTGRES_URL.sub("postgresql", text, count=1))
        if not text.strip():
            raise ConfigError(_GIVE)
        return cls(os.path.expanduser(text))  # noqa: PTH111  (a Path would drop a leading ./)

    def __str__(self) -> str:
        """The path or URL as it may be shown and kept: without a password."""
        return self.text if self.is_file else self._url().render_as_string(hide_password=True)

    @property
    def is_file(self) -> bool:
        """Whether it is a SQLite file rather than a server's."""
        return "://" not in self.text

    @property
    def may_hold_data(self) -> bool:
        """Whether there may be a data set already: a server's database, or a file that is not empty."""
        try:
            return not self.is_file or self.path.stat().st_size > 0
        except OSError:
            return False

    @property
    def plain_name(self) -> str:
        """A server's database as the name of a file: host, port and database, without user and password."""
        url = self._url()
        host = url.host or str(url.query.get("host", "localhost"))
        return quote(f"{host}_{url.port or 5432}_{url.database or ''}", safe=" ")

    @property
    def short_name(self) -> str:
        """What people call it: the file's name, its folder's if all are called so, or a server's database.

        >>> [DatabaseAddress(text).short_name for text in ("/data/knees/dicomprep.db", "a/mr.db", "postgresql://host/ct")]
        ['knees', 'mr', 'ct']
        """
        if not self.is_file:
            return self._url().database or ""
        stem = self.path.stem
        return readable_path((self.path.parent.name or stem) if self.path.name == DEFAULT_DB else stem)

    @property
    def path(self) -> Path:
        """The file, absolute; by whatever links it was named."""
        return Path(self.text).absolute()

    @property
    def real_path(self) -> Path:
        """The file itself, beyond all links."""
        return Path(os.path.realpath(self.text))

    @property
    def folder(self) -> Path | None:
        """The folder of a SQLite file; None for a server."""
        return self.path.parent if self.is_file else None

    def file_url(self, *, must_exist: bool) -> URL:
        """For SQLAlchemy; ConfigError where a file that `must_exist` is missing, EnvironmentFault for a folder."""
        if self.path.is_dir():
            message = f"The database {self.text} cannot be opened: it is a folder."
            raise EnvironmentFault(f"{message} Give a file's path with --db.")
        if must_exist and not self.path.is_file():
            raise ConfigError(f"There is no database {self.text} yet; `dicomprep preprocess DICOM_DIR` makes it.")
        return URL.create("sqlite", database=str(self.path))

    def server_url(self) -> URL:
        """For SQLAlchemy, with the driver; ConfigError where it is no URL of PostgreSQL."""
        url = self._url()
        if url.get_backend_name() != "postgresql":
            raise ConfigError(_GIVE)
        return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url

    def _url(self) -> URL:
        try:
            return make_url(self.text)
        except ArgumentError as error:
            raise ConfigError(_GIVE) from error
