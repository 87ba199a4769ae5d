"""Outcomes → rows: recorded together, in one transaction; then the images that they replace are removed."""

import re
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from dicomprep.database.writes.headers import record_headers
from dicomprep.database.writes.store import Store
from dicomprep.errors import ErrorCode
from dicomprep.models import Outcome
from dicomprep.pixels.encoding import without_ending
from dicomprep.splits import SplitRule
from dicomprep.storage.base import ImageStore

__all__ = ["RecordContext", "Recorder", "record"]

FATAL = (ErrorCode.TIMEOUT, ErrorCode.OUT_OF_MEMORY, ErrorCode.WORKER_CRASHED, ErrorCode.INTERNAL)
"""What ends a worker in the middle of a file."""


@dataclass(frozen=True, slots=True)
class RecordContext:
    """Where a run records, and by which rules."""

    store: Store
    run_id: int
    fingerprint: str
    rule: SplitRule
    images: ImageStore
    durable: bool = False
    """Images are synced to disk (fsync) before the rows that name them are committed."""


def record(outcomes: Sequence[Outcome], context: RecordContext) -> None:
    """Record a batch: of each root all of it or, with EnvironmentFault, nothing. Splits are assigned here."""
    by_root: dict[str, list[Outcome]] = {}
    record_headers(context.store, [outcome for outcome in outcomes if outcome.task.header_only])
    for outcome in (outcome for outcome in outcomes if not outcome.task.header_only):
        by_root.setdefault(outcome.task.source.root, []).append(outcome)
    for those in by_root.values():
        _record_below_root(those, context)


def _record_below_root(outcomes: Sequence[Outcome], context: RecordContext) -> None:
    whole = [replace(o, written=()) if o.written and not o.keeps_images else o for o in outcomes]
    context.images.require_in_place()
    unnamed = [written.thumbnail_path for o in outcomes if not o.keeps_images for written in o.written]
    unnamed += [path for o in whole if not o.written for path in _leftovers(o, context.images)]
    if context.durable:
        context.images.sync(written.thumbnail_path for o in whole for written in o.written)
    stale = context.store.record(
        whole, run_id=context.run_id, fingerprint=context.fingerprint, rule=context.rule, unnamed=unnamed
    )
    context.images.remove(stale)


def _leftovers(outcome: Outcome, images: ImageStore) -> list[str]:
    """Images that a worker made of a file before it died at a later frame."""
    if outcome.error_code not in FATAL:
        return []
    name = outcome.task.name
    try:
        paths = [entry.path for entry in images.entries(name.rpartition("/")[0]) if entry.is_image]
    except OSError:
        return []
    numbered = re.compile(rf"{re.escape(name)}(_frame\d+)?")
    return [path for path in paths if numbered.fullmatch(without_ending(path))]


@dataclass(slots=True)
class Recorder:
    """Records in the background. Nothing else may use the database until `settle` says that it is done."""

    context: RecordContext
    seconds: float = 0.0
    """Total time of recording."""
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
        record(outcomes, self.context)
        self.seconds += time.perf_counter() - began
        return outcomes
