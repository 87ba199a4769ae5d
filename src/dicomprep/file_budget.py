"""How long a file as a whole may take, however many of its frames are finished in time."""

import time
from dataclasses import dataclass, field

from dicomprep.errors import ErrorCode, InputError

__all__ = ["FileBudget"]

FRAME_SHARE = 1 / 600
"""For each frame, this part of `--timeout` beyond the first one: 0.2 s with 120 s, a hundred times what most take."""

MEGABYTE_SHARE = 1 / 30
"""For each megabyte of the file that is on the disk: 4 s with 120 s, tens of times what the slowest decoder takes."""


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
