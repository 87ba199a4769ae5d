"""Whether a file was changed just now: by the clock that stamps it, which is its server's where it has one."""

import time
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from dicomprep.storage.base import ImageStore
from dicomprep.storage.local_images import LocalImages
from dicomprep.storage.marks import write_scratch
from dicomprep.storage.source import SourceFile

__all__ = ["FileClock", "read_clock", "wait_until_quiet"]

QUIET_SECONDS = 1.0
"""Since the last change of a file before it is read: one that is being copied in is changed all the time.

A change in the future, by a clock that is wrong or another machine's, is not waited for.
"""

RECENT_SECONDS = 3600.0
"""Since, or until, the last change by the clock of this machine, where another clock may say that it was just now."""

NAP_SECONDS = 0.1


class FileClock(NamedTuple):
    """The clock by which a file system stamps its files."""

    device: int
    ahead_seconds: float
    """Of the clock of this machine."""


def wait_until_quiet(file: SourceFile, images: ImageStore, heartbeat: Callable[[], None]) -> None:
    """Wait until a file has not been changed for a while; whoever changes it later is noticed by its time.

    The clock of its file system is known where images are written to the same one; else that of this machine counts.
    """
    changed_at = file.version.mtime_ns / 1e9
    if abs(changed_at - time.time()) > RECENT_SECONDS:
        return
    ahead_seconds = _ahead_seconds(file, images)
    while 0 <= (left := changed_at + QUIET_SECONDS - time.time() - ahead_seconds) <= QUIET_SECONDS:
        time.sleep(min(left + 0.001, NAP_SECONDS))
        heartbeat()


@lru_cache(maxsize=1)
def read_clock(images: LocalImages) -> FileClock | None:
    """Have a file of the scratch folder stamped, and compare, once in a process; None where that cannot be."""
    before = time.time()
    try:
        status = write_scratch(images.own_scratch(), "clock", str(before))
    except OSError:
        return None
    return FileClock(status.st_dev, status.st_mtime_ns / 1e9 - (before + time.time()) / 2)


def _ahead_seconds(file: SourceFile, images: ImageStore) -> float:
    clock = read_clock(images) if file.device is not None and isinstance(images, LocalImages) else None
    return clock.ahead_seconds if clock is not None and clock.device == file.device else 0.0
