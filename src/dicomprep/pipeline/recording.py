"""Rows are written while workers go on: one batch after the other, in a thread of its own."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from dicomprep.models import Outcome
from dicomprep.pipeline.stages.record import Ledger, record

__all__ = ["Recorder"]


@dataclass(slots=True)
class Recorder:
    """Records in the background. Nothing else may use the database until `settle` says that it is done."""

    ledger: Ledger
    seconds: float = 0.0
    """That recording took, all in all."""
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "dicomprep recorder"))
    _under_way: Future[Sequence[Outcome]] | None = None

    def begin(self, outcomes: Sequence[Outcome]) -> None:
        """Record a batch; the one before must be settled."""
        self._under_way = self._thread.submit(self._record, outcomes)

    def settle(self, *, wait: bool) -> Sequence[Outcome] | None:
        """What was recorded since the last time; None if that still goes on and is not waited for.

        Raises EnvironmentFault where the database or the disk failed.
        """
        if self._under_way is None:
            return ()
        if not wait and not self._under_way.done():
            return None
        done, self._under_way = self._under_way, None
        return done.result()

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    def _record(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        began = time.perf_counter()
        record(outcomes, self.ledger)
        self.seconds += time.perf_counter() - began
        return outcomes
