"""The same work again and again, as things arrive: one round after the other, until somebody ends it."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from dicomprep.engines.interrupts import Stop, stop_first
from dicomprep.errors import EnvironmentFault

__all__ = ["Supply", "rounds"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Supply:
    """Where the work comes from, and how long."""

    arrived: threading.Event | None = None
    """Set where there is something to do; without it every round looks."""
    has_ended: Callable[[], bool] = lambda: False
    """Whether nothing comes any more."""
    stopped: Stop = field(default_factory=Stop)
    """The first SIGINT or SIGTERM sets it."""

    @property
    def is_over(self) -> bool:
        """Whether there is to be no other round."""
        return self.stopped.is_set() or self.has_ended()


def rounds(work: Callable[[], T], *, seconds: float, supply: Supply) -> Iterator[T | EnvironmentFault]:
    """Work now, then every so many `seconds`, or where something has arrived, until the supply is over.

    A fault of the surroundings ends a round, not those after it.
    """
    with stop_first(supply.stopped.set):
        while not supply.is_over:
            if supply.arrived is not None:
                supply.arrived.clear()
            began = time.monotonic()
            yield _attempt(work)
            _wait(supply, earliest=began + seconds)


def _attempt(work: Callable[[], T]) -> T | EnvironmentFault:
    try:
        return work()
    except EnvironmentFault as fault:
        return fault


def _wait(supply: Supply, *, earliest: float) -> None:
    """Until it is time and something has arrived, or all is over."""
    arrived = supply.arrived
    while not supply.is_over and not supply.stopped.wait(0.1):
        if time.monotonic() >= earliest and (arrived is None or arrived.is_set()):
            return
