"""Tasks done by the workers of a Dask cluster, in bundles. What is lost with a worker is done again by another."""

import asyncio
import pickle
import queue
import secrets
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, ClassVar

from distributed import Future, KilledWorker

from dicomprep.engines.base import Answer, Limits, TaskFailure
from dicomprep.engines.bundles import Bundle, Bundler
from dicomprep.engines.clusters import Cluster
from dicomprep.engines.dask_worker import Probe, Report, WorkerSlots, run_bundle, stop_bundles
from dicomprep.engines.roster import Roster
from dicomprep.errors import EnvironmentFault, ErrorCode

__all__ = ["DaskEngine"]

AHEAD = 2
"""Bundles for each slot: one at work and one that waits for it."""

STOP_SECONDS = 12.0
"""How long what is at work is waited for when the run is stopped: workers give it 3 s, and themselves 5 more."""

BROADCAST_SECONDS = 5
"""How long workers are waited for that are told something."""


class DaskEngine:
    """Runs `work(task, settings, heartbeat)`, named as `module:function`, in processes of Dask workers.

    Each worker has a LocalEngine, so that a task's crash, hang or hunger costs that task alone. Where one takes the
    worker itself along, its bundle is done again, then alone on a worker, then in parts: the task that does it is
    found, and nobody else is blamed.
    """

    isolates_tasks: ClassVar[bool] = True

    def __init__(
        self,
        cluster: Cluster,
        work: str,
        settings: object,
        *,
        limits: Limits,
        probe: Probe,
        tell: Callable[[str], None],
    ) -> None:
        self._cluster, self._client = cluster, cluster.client
        self._run = f"dicomprep-{secrets.token_hex(8)}"
        self._roster = Roster(cluster, tell)
        self._bundler = Bundler()
        self._again: deque[Bundle] = deque()
        """Lost, or left over by a worker that leaves."""
        self._flying: dict[Bundle, Future[bytes]] = {}
        self._arrived: queue.SimpleQueue[tuple[Bundle, bytes | BaseException]] = queue.SimpleQueue()
        self._stop_at: float | None = None
        self._is_closed = False
        slots = WorkerSlots(self._run, work, settings, limits=limits, probe=probe)
        try:
            self._client.register_plugin(slots, name=self._run)
        except Exception as error:
            raise EnvironmentFault(
                f"The workers of {cluster.name} cannot load dicomprep ({type(error).__name__}: {error}): "
                "install the same version there."
            ) from error

    @property
    def slots(self) -> int:
        """How many tasks are done at a time now; workers come and go."""
        return max(1, self._roster.slots)

    @property
    def wants_more(self) -> bool:
        """Whether another task would not have to wait long; never after `stop`."""
        return self._stop_at is None and (not self._bundler.is_full or len(self._flying) < AHEAD * self._roster.slots)

    @property
    def idle(self) -> bool:
        """Whether every task submitted has been answered or dropped."""
        return not self._bundler.current.tasks and not self._again and not self._flying

    def submit(self, task: object, input_bytes: int = 0) -> None:
        """Take a task; `input_bytes` is the size of what it reads, by which tasks are bundled."""
        if self._bundler.is_full:
            self._ship(self._bundler.take())
        self._bundler.add(task, input_bytes)

    def poll(self, seconds: float) -> list[Answer[Any, Any]]:
        """Give what was answered, after `seconds` at most where nothing is.

        Raises EnvironmentFault where a task met one, the scheduler is lost, or no worker can do the work.
        """
        self._roster.update()
        self._hand_out()
        answers: list[Answer[Any, Any]] = []
        while (arrived := self._next_arrived(seconds)) is not None:
            answers += self._receive(*arrived)
            seconds = 0
        if self._stop_at is not None and time.monotonic() > self._stop_at:
            self._drop_all()
        return answers

    def stop(self) -> None:
        """Drop what waits, and let what is at work be finished, for some seconds; `poll` until `idle`."""
        if self._stop_at is not None:
            return
        self._stop_at = time.monotonic() + STOP_SECONDS
        self._bundler.take()
        self._again.clear()
        with suppress(Exception):
            self._client.run(stop_bundles, self._run, on_error="ignore", callback_timeout=BROADCAST_SECONDS)

    def close(self) -> None:
        """End the work at once, and take back what workers were given; may be called again. The cluster stays."""
        if self._is_closed:
            return
        self._is_closed = True
        self._drop_all()
        with suppress(Exception):
            self._client.unregister_worker_plugin(self._run)

    def _hand_out(self) -> None:
        """Ship what was lost; and what has come together, rather than let slots wait."""
        while self._again and self._roster.slots:
            self._ship(self._again.popleft())
        is_free = len(self._flying) < self._roster.slots
        is_wanted = self._bundler.is_full and len(self._flying) < AHEAD * self._roster.slots
        if is_wanted or (is_free and self._bundler.has_waited):
            self._ship(self._bundler.take())

    def _ship(self, bundle: Bundle) -> None:
        content = pickle.dumps([(pickle.dumps(task), input_bytes) for task, input_bytes in bundle.tasks])
        future = self._client.submit(
            run_bundle,
            self._run,
            content,
            alone=bundle.is_alone,
            key=f"{self._run}-{secrets.token_hex(8)}",
            pure=False,
            workers=self._roster.fit_workers(),
        )
        self._flying[bundle] = future
        asyncio.run_coroutine_threadsafe(self._await(bundle, future), self._client.loop.asyncio_loop)

    async def _await(self, bundle: Bundle, future: "Future[bytes]") -> None:
        """In the client's own thread: bring the answer here when it is there."""
        try:
            self._arrived.put((bundle, await future))
        except (Exception, CancelledError, asyncio.CancelledError) as error:  # noqa: BLE001  (it is dealt with by `poll`)
            self._arrived.put((bundle, error))

    def _next_arrived(self, seconds: float) -> tuple[Bundle, bytes | BaseException] | None:
        try:
            return self._arrived.get(block=seconds > 0, timeout=seconds)
        except queue.Empty:
            return None

    def _receive(self, bundle: Bundle, content: bytes | BaseException) -> list[Answer[Any, Any]]:
        if self._flying.pop(bundle, None) is None:  # it was dropped
            return []
        if isinstance(content, KilledWorker):
            return self._handle_loss(bundle, content.allowed_failures + 1)
        if isinstance(content, CancelledError | asyncio.CancelledError):
            raise EnvironmentFault(f"The connection to {self._cluster.name} was lost. Run this again to go on.")
        if isinstance(content, BaseException):
            raise EnvironmentFault(f"{self._cluster.name} failed ({type(content).__name__}: {content}).")
        report: Report = pickle.loads(content)  # noqa: S301  (from a worker of this run)
        if report.unfit is not None:  # also where that is why something failed
            self._roster.exclude(report.address, report.host, report.unfit)
            self._do_again([bundle])
            return []
        if report.fault is not None:
            raise EnvironmentFault(report.fault if self._cluster.is_local else f"On {report.host}: {report.fault}")
        return self._take_results(bundle, report)

    def _take_results(self, bundle: Bundle, report: Report) -> list[Answer[Any, Any]]:
        done = {place for place, _ in report.results}
        if len(done) == len(bundle.tasks):
            self._bundler.learn(bundle, report.seconds)
        else:
            self._do_again([bundle.without(done)])
        return [Answer(bundle.tasks[place][0], _unpack(result)) for place, result in report.results]

    def _handle_loss(self, bundle: Bundle, workers: int) -> list[Answer[Any, Any]]:
        parts = list(bundle.after_loss(workers))
        if not any(part.is_guilty for part in parts):
            self._do_again(parts)
            return []
        detail = "ended its whole cluster worker again and again, alone at work there (often it is out of memory)"
        failure = TaskFailure(ErrorCode.WORKER_CRASHED, detail, quarantined=True)
        return [Answer(task, failure) for task, _ in bundle.tasks]

    def _do_again(self, bundles: list[Bundle]) -> None:
        if self._stop_at is None:
            self._again.extend(bundles)

    def _drop_all(self) -> None:
        """Forget everything that was not answered."""
        flying, self._flying = list(self._flying.values()), {}
        self._again.clear()
        self._bundler.take()
        with suppress(Exception):
            self._client.cancel(flying, force=True)


def _unpack(result: bytes | TaskFailure) -> Any:  # noqa: ANN401
    return result if isinstance(result, TaskFailure) else pickle.loads(result)  # noqa: S301  (from a worker of this run)
