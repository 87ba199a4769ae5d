"""Files that are whole or not there, and images that outlive a loss of power."""

import errno
import io
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from dicomprep.errors import ConfigError, disk_fault, place_fault

__all__ = ["DRAFT", "drafted", "new_file", "replace_file", "require_place", "sync_folder", "sync_images"]

DRAFT = ".new"
"""Ending of the name under which a file is written before it gets its own."""


def replace_file(place: Path, content: bytes, *, mode: int = 0o666, durable: bool = False) -> None:
    """Put a file in its place, whole or not at all; with `durable` it is on the disk when this returns.

    What lies under its name or that of its draft is replaced, a link too, and is never written through. Raises OSError.
    """
    with new_file(place, mode=mode, durable=durable) as draft:
        draft.write(content)


@contextmanager
def new_file(
    place: Path, *, mode: int = 0o666, durable: bool = False, draft: Path | None = None
) -> Iterator[io.BufferedWriter]:
    """A file, open for writing, that gets its place at the end of the block: as `replace_file`, for what is written bit
    by bit, or by its path (`name`).

    `draft` is where it lies until then, by default beside its place. Where the block fails, nothing of it is left, and
    what had the place before stays. Raises OSError.
    """
    path = draft or place.with_name(place.name + DRAFT)
    path.unlink(missing_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(path, "wb", opener=lambda name, _flags: os.open(name, flags, mode)) as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        path.replace(place)
        if durable:
            sync_folder(place.parent)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def drafted(place: Path) -> Iterator[Path]:
    """The path of a draft for a file that a person named: it gets its place at the end of the block, on the disk.

    Where the block fails, nothing of it is left, and what had that name before stays. Links are followed; a device or
    a pipe is written to itself. Raises ConfigError for a place that no file can have, EnvironmentFault where the file
    system fails, also within the block.
    """
    require_place(place)
    try:
        real = Path(os.path.realpath(place))
        if real.exists() and not real.is_file():
            yield real
            return
        draft = real.with_name(f".{secrets.token_hex(8)}{DRAFT}")  # no name of another file of that person's
        with new_file(real, durable=True, draft=draft):
            if real.exists():
                shutil.copymode(real, draft)
            yield draft
    except OSError as error:
        raise place_fault(place, error) from error


def require_place(place: Path, *, apart_from: Path | None = None) -> None:
    """Raise ConfigError, or EnvironmentFault, where it shows without a try that a file can have no such place.

    Nor may it be that of the file `apart_from`, which is read for it.
    """
    try:
        status = place.stat()
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if apart_from is not None and apart_from.exists() and os.path.samestat(status, apart_from.stat()):
            raise ConfigError(f"{place} is the file that is read. Choose another place.")
    except FileNotFoundError:
        return
    except OSError as error:
        raise place_fault(place, error) from error


def sync_folder(folder: Path) -> None:
    """Have the names in a folder written to the disk. Raises OSError."""
    _sync(os.fspath(folder), os.fsync)


def sync_images(output_dir: Path, paths: Iterable[str]) -> None:
    """Have images below `output_dir`, and their names in their folders, written to the disk; return when they are.

    Linux is asked once for the whole file system, which is cheaper than for each file; elsewhere each file and folder
    is. Raises EnvironmentFault where the disk fails, also at what it had accepted before.
    """
    try:
        whole = _syncfs()
        if whole is None:
            _sync_each(output_dir, paths)
        else:
            _sync(os.fspath(output_dir), whole)
    except OSError as error:
        raise disk_fault(f"{output_dir} cannot be written to the disk", error) from error


def _sync_each(output_dir: Path, paths: Iterable[str]) -> None:
    folders = {output_dir, output_dir.parent}
    for path in paths:
        _sync(os.fspath(output_dir / path), os.fsync)
        folders.update(parent for parent in (output_dir / path).parents if parent.is_relative_to(output_dir))
    for folder in folders:
        _sync(os.fspath(folder), os.fsync)


def _sync(path: str, how: Any) -> None:  # noqa: ANN401
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        how(descriptor)
    finally:
        os.close(descriptor)


@cache
def _syncfs() -> Any:  # noqa: ANN401
    """The C library's `syncfs(descriptor)`, raising OSError; None where there is none."""
    import ctypes

    try:
        call = ctypes.CDLL(None, use_errno=True).syncfs
    except (AttributeError, OSError, TypeError):
        return None

    def syncfs(descriptor: int) -> None:
        if call(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    return syncfs
