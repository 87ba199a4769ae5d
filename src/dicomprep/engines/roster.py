"""Which workers of a cluster there are, and which of them can do the work."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dicomprep.engines.clusters import Cluster
from dicomprep.errors import EnvironmentFault, count_of

__all__ = ["Roster"]

LOOK_SECONDS, HURRIED_SECONDS = 2.0, 0.2
"""Between two looks at who is there; while nobody is."""

NOBODY_SECONDS = 60.0
"""How long a cluster may have no workers whose workers do not wait in a queue."""


QUEUED_SECONDS = 10.0
"""Without any worker, until a message says that jobs wait in a queue."""


@dataclass(slots=True)
class Roster:
    """Looks every now and then who is there, and says who came and went."""

    cluster: Cluster
    tell: Callable[[str], None]
    slots: int = 0
    """Tasks that are done at a time by workers that can do the work."""
    _threads: dict[str, int] = field(default_factory=dict)
    _unfit: dict[str, str] = field(default_factory=dict)
    """Why workers cannot do the work, by their addresses."""
    _looked_at: float = 0.0
    _seen_at: float = field(default_factory=time.monotonic)
    _is_waiting: bool = False
    """Whether it has been said that nobody is there."""

    def update(self) -> None:
        """Look who is there. Raises EnvironmentFault where nobody is or can do the work."""
        now = time.monotonic()
        if now - self._looked_at < (LOOK_SECONDS if self.slots else HURRIED_SECONDS):
            return
        self._looked_at = now
        before, self._threads = self._threads, self._ask()
        self._report(set(self._threads) - set(before), set(before) - set(self._threads))
        self._count()
        self._report_refusals()
        if self.slots:
            self._seen_at, self._is_waiting = now, False
        else:
            self._wait(now - self._seen_at)

    def fit_workers(self) -> list[str] | None:
        """The workers that can do the work; None where all can, also those that come later."""
        return [address for address in self._threads if address not in self._unfit] if self._unfit else None

    def exclude(self, address: str, host: str, why: str) -> None:
        """Give a worker nothing any more. Raises EnvironmentFault where none is left."""
        if address not in self._unfit:
            self._unfit[address] = why
            self.tell(f"{host} {why}. It gets no files of this run.")
        self._count()
        if not self.slots:
            raise EnvironmentFault(f"No worker of {self.cluster.name} can do the work: {host} {why}.")

    def _wait(self, seconds: float) -> None:
        """Nobody has been there for so long."""
        if self.cluster.is_waited_for:
            if seconds > QUEUED_SECONDS and not self._is_waiting:
                self._is_waiting = True
                self.tell("no worker is there: its jobs wait in the queue")
        elif seconds > NOBODY_SECONDS:
            raise EnvironmentFault(f"{self.cluster.name} has no workers. Start some, and run this again.")

    def _report_refusals(self) -> None:
        """Jobs that cannot be submitted: the end of a run that has no worker, a word where it has."""
        refusals = self.cluster.refusals
        if refusals and not self.slots:
            raise EnvironmentFault(f"{self.cluster.name} takes no jobs: {refusals[0]}.")
        for refusal in dict.fromkeys(refusals):
            self.tell(f"a job was not taken: {refusal}")
        refusals.clear()

    def _ask(self) -> dict[str, int]:
        try:
            return dict(self.cluster.client.nthreads())
        except Exception as error:
            name = self.cluster.name
            raise EnvironmentFault(f"The connection to {name} was lost. Run this again to go on.") from error

    def _count(self) -> None:
        self.slots = sum(count for address, count in self._threads.items() if address not in self._unfit)

    def _report(self, came: set[str], gone: set[str]) -> None:
        if self.cluster.is_local or not (came or gone):
            return
        changes = [f"{count_of(len(who), 'worker')} {verb}" for who, verb in ((came, "came"), (gone, "went")) if who]
        there = f"{count_of(len(self._threads), 'worker')} with {count_of(sum(self._threads.values()), 'slot')}"
        self.tell(f"{', '.join(changes)}; now {there}")
