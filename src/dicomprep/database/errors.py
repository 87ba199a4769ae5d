"""What an error of a database means, for the person who has to fix it."""

import sqlite3

from sqlalchemy.exc import DBAPIError

from dicomprep.errors import EnvironmentFault

__all__ = ["database_fault"]

_REASONS = {
    sqlite3.SQLITE_BUSY: "is locked by another program. Close that program, or wait for it, and run this again",
    sqlite3.SQLITE_LOCKED: "is locked by another program. Close that program, or wait for it, and run this again",
    sqlite3.SQLITE_FULL: "cannot grow, because its disk is full. Free some space and run this again",
    sqlite3.SQLITE_IOERR: "cannot be read or written. Check its disk and the space left on it, then run this again",
    sqlite3.SQLITE_READONLY: "is read-only. Check its permissions and how its disk is mounted, or choose another",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened. Is it a folder, or in a folder without write permission?",
    sqlite3.SQLITE_CORRUPT: "is damaged. Restore a backup, or choose another database: its images are then regenerated",
    sqlite3.SQLITE_NOMEM: "cannot be read: out of memory. Give it more memory and run this again",
    sqlite3.SQLITE_NOTADB: "is not a dicomprep database. Choose another file",
}
_SQLSTATES = {"55P03": sqlite3.SQLITE_LOCKED, "53100": sqlite3.SQLITE_FULL, "25006": sqlite3.SQLITE_READONLY}
_UNSOUND = "holds unexpected values. Restore a backup, or choose another database: its images are then regenerated"
_LOST = "closed the connection. What was recorded stays; run this again when it can be reached"


def database_fault(shown: str, error: DBAPIError) -> EnvironmentFault:
    """The fault to raise: which database, what is wrong, what to do. `shown` is its path or URL without a password."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if isinstance(error.orig, sqlite3.Error):
        reason = _REASONS.get((code or 0) & 0xFF, _UNSOUND)
    else:
        reason = _server_reason(error) or "failed"
    detail = " ".join(str(error.orig).split())
    return EnvironmentFault(f"The database {shown} {reason} ({detail}).")


def _server_reason(error: DBAPIError) -> str | None:
    """What a PostgreSQL server means, by its SQLSTATE; without one the server was not reached."""
    state = getattr(error.orig, "sqlstate", None)
    if error.connection_invalidated or (state or "").startswith(("57P", "08")):
        return _LOST
    if state is None:
        return "cannot be reached. Is the server running, and is the URL right?"
    return _REASONS[_SQLSTATES[state]] if state in _SQLSTATES else None
