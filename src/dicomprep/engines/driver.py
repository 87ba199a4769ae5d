"""One thread that drives an engine for many: each hands in a bundle of tasks and waits for what comes of it."""

import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dicomprep.engines.base import Engine
from dicomprep.errors import EnvironmentFault

__all__ = ["BundleResult", "Driver"]

POLL_SECONDS, BUSY_SECONDS = 0.02, 0.2
"""How long a new bundle waits for the engine at most: while slots are free, and while all have something to do."""

IDLE_SECONDS = 60.0
"""Without a bundle; then the engine is closed, for whoever wanted it may be gone."""

MEASURED_SECONDS = 0.2
"""Of a bundle that came before the engine had started; of less than that nothing can be said."""

WATCH_SECONDS = 1.0
"""How often who waits looks whether the thread is still there."""


@dataclass(slots=True, eq=False)
class BundleResult:
    """A bundle on its way through the engine, and what came of it."""

    tasks: Sequence[tuple[Any, int]]
    """Each with the bytes of its input."""
    is_alone: bool
    """Nothing else is to be at work meanwhile, so that what it breaks is laid at its door alone."""
    results: list[tuple[int, Any]] = field(default_factory=list)
    """Of the tasks that were finished, by their places; not of all where the driver was stopped or closed."""
    fault: str | None = None
    """What ended the work, as EnvironmentFault says it."""
    seconds: float = 0.0
    """What it took without the start of the engine; 0 where that is not known."""
    finished: threading.Event = field(default_factory=threading.Event)


class Driver:
    """Makes the engine at once, so that it loads what it needs; ends it when nothing comes, and makes it again."""

    def __init__(self, make_engine: Callable[[], Engine[Any, Any]]) -> None:
        self._make_engine = make_engine
        self._arriving: queue.SimpleQueue[BundleResult | None] = queue.SimpleQueue()
        self._waiting: list[BundleResult] = []
        self._at_work: list[BundleResult] = []
        self._owners: dict[int, list[tuple[BundleResult, int]]] = {}
        """Whose a task at work is, and its places there, by its identity: equal tasks may be one object."""
        self._engine: Engine[Any, Any] | None = None
        self._answering_since = math.inf
        """When this engine gave its first answer: until then it loads what it needs, which is no bundle's cost."""
        self._is_stopped = self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="dicomprep engine", daemon=True)
        self._thread.start()

    def do(self, tasks: Sequence[tuple[Any, int]], *, alone: bool = False) -> BundleResult:
        """Do tasks, and wait for them. Any number of threads may call this at a time."""
        began = time.monotonic()
        bundle = BundleResult(tasks, alone)
        self._arriving.put(bundle)
        while not bundle.finished.wait(WATCH_SECONDS) and self._thread.is_alive():
            pass
        bundle.seconds = self._seconds_since(began)
        return bundle

    def _seconds_since(self, began: float) -> float:
        seconds = time.monotonic() - max(began, self._answering_since)
        return seconds if began >= self._answering_since or seconds > MEASURED_SECONDS else 0.0

    def stop(self) -> None:
        """Let what is at work be finished, for some seconds; nothing more is begun."""
        self._is_stopped = True
        self._arriving.put(None)

    def close(self) -> None:
        """End everything at once."""
        self._is_closed = True
        self._arriving.put(None)
        self._thread.join()

    def _run(self) -> None:
        while not self._is_closed:
            try:
                self._engine = self._engine or self._make_engine()
                while not self._is_closed:
                    self._step()
            except Exception as error:  # noqa: BLE001  (whatever it is, others wait for an answer)
                name = "" if isinstance(error, EnvironmentFault) else f"{type(error).__name__}: "
                self._give_up(f"{name}{error}")
                self._wait_for_bundle()
        self._give_up(None)

    def _step(self) -> None:
        self._take()
        if self._engine is None:
            self._engine = self._make_engine()
        if self._is_stopped:
            self._drop_waiting(self._engine)
        self._begin(self._engine)
        for answer in self._engine.poll(self._patience(self._engine)):
            self._answering_since = min(self._answering_since, time.monotonic())
            self._keep(answer.task, answer.result)
        if self._is_stopped and self._engine.idle:
            self._finish_all()

    def _patience(self, engine: Engine[Any, Any]) -> float:
        if self._is_stopped or len(self._owners) < 2 * engine.slots:
            return POLL_SECONDS if self._at_work else 0
        return BUSY_SECONDS

    def _take(self) -> None:
        """A bundle that has come; where nothing else is to do, it is waited for."""
        is_idle = not self._waiting and not self._at_work
        try:
            bundle = self._arriving.get(block=is_idle, timeout=IDLE_SECONDS)
        except queue.Empty:
            if is_idle:
                self._close_engine()
                self._wait_for_bundle()
            return
        if bundle is not None:
            self._waiting.append(bundle)

    def _wait_for_bundle(self) -> None:
        """Without an engine, which nobody needs until then."""
        bundle = self._arriving.get()
        if bundle is not None:
            self._waiting.append(bundle)

    def _begin(self, engine: Engine[Any, Any]) -> None:
        """Hand tasks on; a bundle that is to be alone waits until all others are done, and they wait for it."""
        while self._waiting:
            if self._at_work and (self._waiting[0].is_alone or self._at_work[0].is_alone):
                return
            bundle = self._waiting.pop(0)
            self._at_work.append(bundle)
            for place, (task, input_bytes) in enumerate(bundle.tasks):
                self._owners.setdefault(id(task), []).append((bundle, place))
                engine.submit(task, input_bytes)

    def _keep(self, task: object, result: object) -> None:
        owners = self._owners[id(task)]
        bundle, place = owners.pop()
        if not owners:
            del self._owners[id(task)]
        bundle.results.append((place, result))
        if len(bundle.results) == len(bundle.tasks):
            self._at_work.remove(bundle)
            bundle.finished.set()

    def _drop_waiting(self, engine: Engine[Any, Any]) -> None:
        engine.stop()
        _finish(self._waiting)

    def _finish_all(self) -> None:
        _finish(self._at_work)
        self._owners.clear()

    def _give_up(self, fault: str | None) -> None:
        """Nothing more comes of what was handed in."""
        while not self._arriving.empty():
            bundle = self._arriving.get()
            self._waiting += [] if bundle is None else [bundle]
        for bundle in (*self._waiting, *self._at_work):
            bundle.fault = fault
        _finish(self._waiting)
        self._finish_all()
        self._close_engine()

    def _close_engine(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine, self._answering_since = None, math.inf


def _finish(bundles: list[BundleResult]) -> None:
    """Wake those who wait for them."""
    for bundle in bundles:
        bundle.finished.set()
    bundles.clear()
