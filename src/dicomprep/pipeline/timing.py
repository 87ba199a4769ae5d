"""Elapsed time and throughput."""

import time
from typing import Self

__all__ = ["Timer"]


class Timer:
    """Simple timer that tracks elapsed time and throughput.

    >>> t = Timer("Processing").add(100)
    >>> repr(t).startswith("Processing: 100 items in ")
    True

    As a context manager it stops at the end of the block, so that it can be printed later.
    """

    def __init__(self, name: str = "") -> None:
        self.name, self.start, self.n = name, time.perf_counter(), 0
        self._stopped: float | None = None

    def __repr__(self) -> str:
        elapsed = self.elapsed
        rate = self.n / elapsed if elapsed > 0 else 0
        return f"{self.name}: {self.n:,} items in {elapsed:.1f}s ({rate:.1f}/sec)"

    @property
    def elapsed(self) -> float:
        """Seconds since the start, or until the timer stopped."""
        return (self._stopped or time.perf_counter()) - self.start

    def add(self, n: int = 1) -> Self:
        """Count `n` more items."""
        self.n += n
        return self

    @classmethod
    def of(cls, name: str, n: int, seconds: float) -> Self:
        """A stopped timer of work that was measured piece by piece."""
        timer = cls(name).add(n)
        timer._stopped = timer.start + seconds
        return timer

    def stop(self) -> Self:
        """Fix the elapsed time; counting may go on."""
        self._stopped = self._stopped or time.perf_counter()
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
