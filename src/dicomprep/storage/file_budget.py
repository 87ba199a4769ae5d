"""What a file as a whole can pay for: how long it may take, the holes and the pixels that its bytes stand for."""

import errno
import os
import time
from dataclasses import dataclass, field

from dicomprep.errors import ErrorCode, InputError

__all__ = ["FileBudget", "bytes_on_disk", "require_paid_pixels", "require_substance"]

FRAME_SHARE = 1 / 600
"""For each frame, this part of `--timeout` beyond the first one: 0.2 s with 120 s, a hundred times what most take."""

MEGABYTE_SHARE = 1 / 30
"""For each megabyte of the file that is on the disk: 4 s with 120 s, tens of times what the slowest decoder takes."""

MAX_HOLE_BYTES, MAX_HOLE_BYTES_PER_BYTE = 2**30, 16
"""Bytes of holes in any file, and additional ones per byte on disk (file systems compress, too); bounds reading."""

FREE_PIXELS, PIXELS_FOR_A_BYTE = 2**31, 512
"""Pixels that any file may decode to, and additional ones per byte on disk; bounds time to some 5 s."""


@dataclass(slots=True)
class FileBudget:
    """Runs from when a file (or a worker's share of its frames) is opened; `timeout` is that of a single frame.

    >>> round(FileBudget(120.0).allow(frames=2000, held_bytes=0))
    520
    """

    timeout: float
    began: float = field(default_factory=time.monotonic)
    seconds: float = float("inf")

    def allow(self, *, frames: int, held_bytes: float) -> float:
        """Set what so many frames, for which the file holds so many bytes, may take in all, in seconds."""
        self.seconds = self.timeout * (1 + frames * FRAME_SHARE + held_bytes / 2**20 * MEGABYTE_SHARE)
        return self.seconds

    @property
    def is_spent(self) -> bool:
        """Whether no more frames are begun."""
        return time.monotonic() - self.began > self.seconds

    def error(self) -> InputError:
        """What is said of the frames that are left."""
        message = f"the file as a whole took longer than its budget of {self.seconds:,.0f} s (frames and bytes count)"
        return InputError(ErrorCode.TIMEOUT, message)


def bytes_on_disk(status: os.stat_result, descriptor: int) -> int:
    """How much of an open file is no hole. Without any block, a file system does not count them, or all is a hole."""
    blocks = getattr(status, "st_blocks", 0)
    if blocks or not hasattr(os, "SEEK_DATA"):
        return min(status.st_size, 512 * blocks) if blocks else status.st_size
    try:
        return status.st_size - os.lseek(descriptor, 0, os.SEEK_DATA)
    except OSError as error:
        return 0 if error.errno == errno.ENXIO else status.st_size


def require_substance(size: int, held_bytes: int) -> None:
    """InputError `limit_exceeded` where next to all of a large file is holes."""
    if size - held_bytes > MAX_HOLE_BYTES + MAX_HOLE_BYTES_PER_BYTE * held_bytes:
        message = f"of its {size:,} bytes {held_bytes:,} are on the disk; the rest are holes"
        raise InputError(ErrorCode.LIMIT_EXCEEDED, message)


def require_paid_pixels(*, frames: int, pixels: int, work: int, held_bytes: float) -> None:
    """InputError `limit_exceeded` where so many frames of so many pixels are far more than the bytes can stand for.

    `work` is how many times as long as usual a pixel takes by the file's codec.
    """
    total = frames * pixels
    if total * work > max(FREE_PIXELS, PIXELS_FOR_A_BYTE * held_bytes):
        claim = f"{held_bytes:,.0f} bytes claim to be {frames:,} frames of {pixels:,} pixels, more than is decoded"
        message = f"{claim} (--frames max=K takes some of them)"
        raise InputError(ErrorCode.LIMIT_EXCEEDED, message)
