"""Waiting for other programs to let go of a SQLite database, so that the wait can be cut short."""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.exc import OperationalError

__all__ = ["ATTEMPT_SECONDS", "BUSY_SECONDS", "Patience"]

BUSY_SECONDS = 30.0
"""How long another program may keep the database to itself before that is an error."""

ATTEMPT_SECONDS = 0.25
"""SQLite's own wait within each attempt: nothing can interrupt it, so it is short."""


@dataclass(slots=True)
class Patience:
    """How long a writer waits. Another thread may lower it while the writer waits."""

    seconds: float

    def wait_for(self, step: Callable[[], object]) -> None:
        """Take a step again and again while the database is locked; its error when patience has run out."""
        began = time.monotonic()
        while True:
            try:
                step()
                return
            except (sqlite3.OperationalError, OperationalError) as error:
                if not _is_busy(error) or time.monotonic() - began > self.seconds:
                    raise
                time.sleep(0.01)  # SQLite does not wait by itself where that could be for ever


def _is_busy(error: sqlite3.OperationalError | OperationalError) -> bool:
    cause = error.orig if isinstance(error, OperationalError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == sqlite3.SQLITE_BUSY
