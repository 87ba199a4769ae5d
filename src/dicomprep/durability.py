"""Images that outlive a loss of power: on the disk before anything says that they are there."""

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from dicomprep.errors import disk_fault

__all__ = ["sync_images"]


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
