"""Which journal a SQLite database may have: a write-ahead log only where both library and file system are up to it."""

import os
import re
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import OperationalError

__all__ = ["ATTEMPT_SECONDS", "BUSY_SECONDS", "Patience", "file_system_of", "journal_mode"]

FIRST_SAFE_WAL = (3, 51, 3)
"""Before it, SQLite can corrupt a write-ahead log when two connections write or checkpoint."""

MOUNTS = Path("/proc/self/mountinfo")

LOCAL = frozenset(
    ("bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "overlay", "ramfs", "reiserfs", "tmpfs")
) | {"xfs", "zfs"}
"""File systems of one machine alone. A log needs memory that all its users share: NFS, SMB, FUSE, 9p, the parallel file
systems of clusters and whatever is not known here do not promise it."""


def journal_mode(folder: str) -> str:
    """`WAL` or `DELETE`, for a database in this folder."""
    safe = sqlite3.sqlite_version_info >= FIRST_SAFE_WAL and file_system_of(folder) in LOCAL
    return "WAL" if safe else "DELETE"


def file_system_of(folder: str) -> str | None:
    """The type of file system that a folder lies on, as Linux names it; None where that cannot be told."""
    try:
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    place, longest, kind = os.path.realpath(folder), "", None
    for line in lines:
        mount, _, source = line.partition(" - ")
        point = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), mount.split(" ")[4])
        within = place == point or place.startswith(point.rstrip("/") + "/")
        if within and len(point) >= len(longest):  # of two on one place the later one hides the earlier
            longest, kind = point, source.split(" ")[0]
    return kind


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
