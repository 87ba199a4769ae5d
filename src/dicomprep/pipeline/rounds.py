"""The same work again and again, as things arrive: one round after the other, until somebody ends it."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from dicomprep.engines.interrupts import Stop, stop_first
from dicomprep.errors import EnvironmentFault

__all__ = ["rounds"]

T = TypeVar("T")


def rounds(
    work: Callable[[], T], *, seconds: float, stopped: Stop, arrived: threading.Event | None = None
) -> Iterator[T | EnvironmentFault]:
    """Work now, then every so many `seconds`; with `arrived`, only where that was set meanwhile.

    A fault of the surroundings ends a round, not those after it. All ends when `stopped` is set, as the first SIGINT or
    SIGTERM does.
    """
    with stop_first(stopped.set):
        while not stopped.is_set():
            if arrived is not None:
                arrived.clear()
            began = time.monotonic()
            yield _attempt(work)
            _wait(arrived, stopped, earliest=began + seconds)


def _attempt(work: Callable[[], T]) -> T | EnvironmentFault:
    try:
        return work()
    except EnvironmentFault as fault:
        return fault


def _wait(arrived: threading.Event | None, stopped: Stop, *, earliest: float) -> None:
    """Until it is time and something has arrived, or this is stopped."""
    while not stopped.wait(0.1):
        if time.monotonic() >= earliest and (arrived is None or arrived.is_set()):
            return
