"""Who may read what is made: its owner alone, or a group too. What was made before stays as readable as it was."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["ANYONE", "GROUP", "OWNER", "access_like", "access_of", "make_file", "make_folder"]

OWNER, GROUP, ANYONE = 0o700, 0o770, 0o777
"""Bits of a mode that a new file or folder may have; the umask takes its own away, as ever."""

OWNER_ONLY = 0o077
"""A umask."""


def access_like(place: str | os.PathLike[str], *, within: int | None = None) -> int | None:
    """Whom a file is for; None where there is none, or an empty one. A link is none. `within` is an open folder."""
    try:
        status = os.stat(place, dir_fd=within, follow_symlinks=False)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        return None
    return OWNER | sum(others for others in (0o070, 0o007) if status.st_mode & others)


@contextmanager
def access_of(access: int) -> Iterator[None]:
    """Within the block this process makes files for nobody else, also by libraries that take no mode."""
    before = os.umask(OWNER_ONLY)
    os.umask(before | (ANYONE & ~access))
    try:
        yield
    finally:
        os.umask(before)


def make_folder(folder: Path, access: int) -> None:
    """Make a folder, and those around it that are missing; one that is there stays as it is. Raises OSError."""
    try:
        folder.mkdir(mode=access)
    except FileNotFoundError:
        make_folder(folder.parent, access)
        folder.mkdir(mode=access, exist_ok=True)
    except FileExistsError:
        if not folder.is_dir():
            raise


def make_file(path: str | os.PathLike[str], access: int) -> None:
    """Make an empty file; one that is there stays as it is. Raises OSError."""
    with suppress(FileExistsError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(path, flags, 0o666 & access))
