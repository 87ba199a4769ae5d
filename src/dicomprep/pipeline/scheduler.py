"""The loop of a run: what is found goes to the engine, what comes back goes to the database."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from dicomprep.dicom.sniff import read_series_uids
from dicomprep.engines.base import Answer, Engine, TaskFailure
from dicomprep.engines.interrupts import stop_first
from dicomprep.errors import ErrorCode, InputError
from dicomprep.models import Instance, Outcome, Status, Task
from dicomprep.pipeline.frame_ranges import FrameRangeMerger
from dicomprep.pipeline.identity import identify_outcome
from dicomprep.pipeline.planner import Planner
from dicomprep.pipeline.result import ProgressListener, Result
from dicomprep.pipeline.stages.record import Recorder
from dicomprep.pipeline.timing import Timer
from dicomprep.storage.archives.spool import Spool
from dicomprep.storage.base import Source

__all__ = ["RunLoop"]

PLAN_BATCH_FILES = 256
"""Files compared with the database in one query."""

MAX_PLANNED_TASKS = 2048
"""Tasks held ready for the engine; bounds memory."""

RECORD_SECONDS, RECORD_FILES, RECORD_FRAMES = 1.0, 4000, 5000
"""Rows are committed after so long, or when outcomes of so many files or frames are unrecorded."""

MAX_UNRECORDED_BATCHES = 5
"""Batches of outcomes held while the database is slower than the workers; then the commit under way is waited for."""

INTERRUPTED_PATIENCE_SECONDS = 1.0
"""How long a run that is to end waits for a database that another program has locked."""


@dataclass(slots=True)
class RunLoop:
    """Holds only what is in flight: no part of it grows with the number of files."""

    result: Result
    listener: ProgressListener
    planner: Planner
    engine: Engine[Task, Outcome]
    merger: FrameRangeMerger
    recorder: Recorder
    spool: Spool
    """What of the sources lies in it is released when it is done with."""
    ready: deque[Task] = field(default_factory=deque)
    digests: list[Outcome] = field(default_factory=list)
    """Of files that may have moved; whether they have is looked up for many at a time."""
    unrecorded: list[Outcome] = field(default_factory=list)
    unrecorded_frames: int = 0
    begun: float = field(default_factory=time.perf_counter)
    recorded_at: float = field(default_factory=time.perf_counter)
    discovery_seconds: float | None = None
    is_paused: bool = False
    """There is no next source for the moment."""

    def run(self, sources: Iterable[Source | None]) -> None:
        """Process all sources, or until the first SIGINT or SIGTERM; whatever happens, what is finished is recorded."""
        remaining = iter(sources)
        with stop_first(self._interrupt):
            try:
                while self._plan(remaining) or self.ready or self.digests or not self.engine.idle:
                    if self.result.interrupted:
                        self.ready.clear()
                        self.digests.clear()
                        self.engine.stop()
                    while self.ready and self.engine.wants_more:
                        task = self.ready.popleft()
                        self.engine.submit(task, task.input_bytes)
                    busy = self.discovery_seconds is not None or len(self.ready) > 0
                    self._collect(self.engine.poll(0.1 if busy else 0.01 if self.is_paused else 0))
            finally:
                self._record()
                self._finish_recording(wait=True)
                self.recorder.close()
                self._finish()

    def _plan(self, sources: Iterator[Source | None]) -> bool:
        """Compare the next sources with what is recorded; False where there are no more."""
        if self.result.interrupted:
            return False
        if self.digests and self._finish_recording(wait=not self.ready):
            self._resolve()
        if self.discovery_seconds is not None:
            return False
        if len(self.ready) >= MAX_PLANNED_TASKS or not self._finish_recording(wait=not self.ready):
            return True
        found = self._next_sources(sources)
        if not found and not self.is_paused:
            self.discovery_seconds = time.perf_counter() - self.begun
            self._report_progress()  # of an archive in which nothing is due nothing is found here
            return False
        tasks = self.planner.plan(found)
        self.ready.extend(tasks)
        self._release(found, tasks)
        self._report_progress()
        return True

    def _next_sources(self, sources: Iterator[Source | None]) -> list[Source]:
        found: list[Source] = []
        self.is_paused = False
        for source in islice(sources, PLAN_BATCH_FILES):
            if source is None:
                self.is_paused = True
                break
            found.append(source)
        return found

    def _release(self, sources: Iterable[Source], tasks: Iterable[Task]) -> None:
        """Those for which there is no task are done with."""
        if self.spool.is_empty:
            return
        due = {(task.source.root, task.source.path) for task in tasks}
        for source in sources:
            if (source.root, source.path) not in due:
                self.spool.release(source)

    def _collect(self, answers: list[Answer[Task, Outcome]]) -> None:
        """Count what came back, and record it when enough has come together."""
        key, splits = self.planner.key, self.planner.config.splits
        outcomes = [identify_outcome(_outcome_of(answer), key=key, splits=splits) for answer in answers]
        self.digests += [outcome for outcome in outcomes if outcome.task.digest_only]
        for outcome in outcomes:
            if outcome.task.header_only:
                self._take_header(outcome)
            elif not outcome.task.digest_only:
                self._merge(outcome)
        if answers:
            self._report_progress()
        amount = max(len(self.unrecorded) / RECORD_FILES, self.unrecorded_frames / RECORD_FRAMES)
        late = time.perf_counter() - self.recorded_at > RECORD_SECONDS
        if (late or amount >= 1) and self._finish_recording(wait=amount >= MAX_UNRECORDED_BATCHES):
            self._record()

    def _resolve(self) -> None:
        """Plan what turned out not to have moved, when enough has come together or nothing else is left to do."""
        if len(self.digests) >= PLAN_BATCH_FILES or (self.digests and not self.ready):
            known = [outcome for outcome in self.digests if not self._is_forgotten(outcome)]
            tasks = self.planner.resolve(known)
            self.ready.extendleft(reversed(tasks))
            self._release((outcome.task.source for outcome in known), tasks)
            self.digests = []
            self._report_progress()

    def _merge(self, outcome: Outcome) -> None:
        """Share what a worker left of a long file among all; count a file of which everything is there."""
        if outcome.remaining is not None:
            if not self.result.interrupted:
                self.merger.workers = self.engine.slots
                self.ready.extendleft(reversed(self.merger.divide(outcome)))
            return
        whole = outcome if outcome.task.frame_range is None else self.merger.merge(outcome)
        if whole is not None:
            self._count(whole)

    def _take_header(self, outcome: Outcome) -> None:
        """Keep what a header says; one that could not be read now is due again in the next run."""
        self.spool.release(outcome.task.source)
        if outcome.status is None:
            self.unrecorded.append(outcome)
            self.result.headers += 1

    def _count(self, outcome: Outcome) -> None:
        result = self.result
        self.spool.release(outcome.task.source)
        if outcome.status is None:
            result.count_other(outcome.task.source.path)
            if self.spool.memory is not None:
                self.spool.memory.note_other(outcome.task.source)
            self.planner.release([outcome])
            return
        if self._is_forgotten(outcome):
            return
        self.unrecorded.append(outcome)
        self.unrecorded_frames += len(outcome.written)
        result.processed += 1
        result.count_images(outcome.written if outcome.keeps_images else ())
        result.without_preset += outcome.without_preset
        result.without_window += outcome.without_window
        result.facts.update(outcome.facts)
        result.statuses[outcome.status] += 1
        if outcome.error_code is not None:
            result.codes[outcome.error_code] += 1
        self.listener.on_outcome(outcome)

    def _is_forgotten(self, outcome: Outcome) -> bool:
        """Whether a file must not be recorded; then its images are removed, and it is done with."""
        if not self.planner.tombstones.cover(outcome):
            return False
        self.recorder.context.images.remove([written.thumbnail_path for written in outcome.written])
        self.spool.release(outcome.task.source)
        self.planner.release([outcome])
        self.result.forgotten += 1
        return True

    def _record(self) -> None:
        """Begin to record what has come together."""
        self._finish_recording(wait=True)
        recorded, self.unrecorded, self.unrecorded_frames = self.unrecorded, [], 0
        self.recorded_at = time.perf_counter()
        if recorded:
            self.recorder.begin(recorded)

    def _finish_recording(self, *, wait: bool) -> bool:
        """Whether no recording is under way, so that the database may be asked."""
        recorded = self.recorder.settle(wait=wait)
        if recorded is None:
            return False
        self.planner.release(recorded)
        return True

    def _report_progress(self) -> None:
        self.result.unchanged, self.result.moved = self.planner.unchanged, self.planner.moved
        self.result.trusted = self.planner.trusted
        self.result.found = self.result.unchanged + self.result.processed
        self.listener.on_progress(self.result)

    def _finish(self) -> None:
        result, context, seconds = self.result, self.recorder.context, time.perf_counter() - self.begun
        result.timers = (
            Timer.of(
                "Discover",
                result.found,
                seconds if self.discovery_seconds is None else self.discovery_seconds,
            ),
            Timer.of("Processing", result.frames, seconds),
            Timer.of("DB Insert", result.frames, self.recorder.seconds),
        )
        counts = {name: getattr(result, name) for name in ("found", "processed", "unchanged", "other_files", "frames")}
        interrupted = int(result.interrupted)
        context.store.finish_run(context.run_id, seconds=seconds, interrupted=interrupted, **counts)

    def _interrupt(self) -> None:
        """Finish what is in flight and record it; the next interrupt is the caller's."""
        self.result.interrupted = True
        patience = self.recorder.context.store.patience
        patience.seconds = min(patience.seconds, INTERRUPTED_PATIENCE_SECONDS)


def _outcome_of(answer: Answer[Task, Outcome]) -> Outcome:
    """What came of a file, also where its task gave no result: that may have taken its worker along."""
    failure = answer.result
    if not isinstance(failure, TaskFailure):
        return failure
    status = Status.QUARANTINED if failure.quarantined else Status.FAILED
    source, digest, about = answer.task.source, b"", Instance()
    if failure.code is not ErrorCode.TIMEOUT:  # what hangs a worker might hang this process too
        with suppress(InputError, OSError), source.open() as file:
            about, digest = read_series_uids(file.head()), file.digest()
    return Outcome(answer.task, status, failure.code, failure.detail, instance=about, digest=digest)
