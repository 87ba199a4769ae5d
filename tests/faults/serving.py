"""A PostgreSQL server for the tests: made in a folder of its own, by a user who is not root, on a socket only."""

import getpass
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dicomprep.database.address import DatabaseAddress
from dicomprep.database.connection import connect, migrate
from tests.running import CLEARING, Place, frozen, wait_until

USER = "dicomprep"


@dataclass(frozen=True)
class Server:
    """A running server; every database in it belongs to one test."""

    folder: Path
    start: Callable[[], "subprocess.Popen[bytes]"]
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    """The one that runs now, if one does."""
    numbers: Iterator[int] = field(default_factory=count)

    def begin(self) -> None:
        """Start it; back when it answers."""
        self.processes.append(self.start())
        assert wait_until(lambda: _answers(self), 60)

    def end(self) -> None:
        """At once: what it did not promise to keep is gone."""
        while self.processes:
            process = self.processes.pop()
            process.send_signal(signal.SIGQUIT)
            process.wait()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Within the block it does not run."""
        self.end()
        try:
            yield
        finally:
            self.begin()

    def frozen(self) -> AbstractContextManager[None]:
        """Within the block it and all its sessions stand still."""
        parent = self.processes[-1].pid
        sessions = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return frozen([parent, *map(int, sessions)])

    def url(self, database: str) -> str:
        return f"postgresql://{USER}:secret@/{database}?host={self.folder}"

    def execute(self, statement: str, *values: object, database: str = "postgres") -> list[Any]:
        """What a statement gives, in a session of its own and at once committed."""
        with closing(psycopg.connect(self.url(database), autocommit=True)) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def new_database(self) -> str:
        """The name of a new database that has its tables already: copied from one that was migrated once."""
        number = next(self.numbers)
        if number == 0:
            self.create("migrated")
            engine = connect(DatabaseAddress.parse(self.url("migrated")))
            migrate(engine)
            engine.dispose()
        self.create(f"copy{number}", like="migrated")
        return f"copy{number}"

    def create(self, database: str, *, like: str | None = None) -> None:
        self.execute(f'CREATE DATABASE "{database}"' + (f' TEMPLATE "{like}"' if like else ""))


class ServedPlace(Place):
    """A place whose database is a server's."""

    def __init__(self, base: Path, server: Server, database: str) -> None:
        super().__init__(base)
        self.__dict__.update(server=server, database=database)

    @property
    def db(self) -> str:  # type: ignore[override]
        return self.server.url(self.database)

    def rows(self, statement: str, *values: object) -> list[Any]:
        rows = self.server.execute(statement.replace("?", "%s"), *values, database=self.database)
        return [row[0] for row in rows] if rows and len(rows[0]) == 1 else rows

    def execute(self, statement: str, *values: object) -> None:
        self.server.execute(statement.replace("?", "%s"), *values, database=self.database)

    def clear(self) -> None:
        self.execute("; ".join(CLEARING))


def programs() -> Path:
    """Where the server's programs are."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if not folders:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    return folders[0]


@contextmanager
def serving() -> Iterator[Server]:
    """Start a server and stop it; skip where it cannot run."""
    binaries = programs()
    folder = Path(tempfile.mkdtemp(prefix="dicomprep-postgres-"))
    user = _unprivileged_user()
    options: dict[str, Any] = {"cwd": folder, "stdout": subprocess.DEVNULL}
    if os.geteuid() == 0:
        os.chown(folder, user.pw_uid, user.pw_gid)
        options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    try:
        init = [binaries / "initdb", "-D", folder / "data", "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8"]
        done = subprocess.run(init, stderr=subprocess.PIPE, text=True, check=False, **options)
        if done.returncode != 0:
            pytest.skip(f"PostgreSQL cannot run here: {done.stderr.strip()}")
        choices = ("listen_addresses=", "fsync=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0")
        settings = [*(word for choice in choices for word in ("-c", choice)), "-k", folder]
        command = [binaries / "postgres", "-D", folder / "data", *settings]
        server = Server(folder, partial(subprocess.Popen, command, stderr=subprocess.DEVNULL, **options))
        try:
            server.begin()
            yield server
        finally:
            server.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _answers(server: Server) -> bool:
    try:
        server.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def _unprivileged_user() -> pwd.struct_passwd:
    """Who the server runs as: nobody where this is root."""
    return pwd.getpwnam("nobody" if os.geteuid() == 0 else getpass.getuser())
