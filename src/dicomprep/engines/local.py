"""Workers as processes of this machine, each of which can die without taking anything along."""

import signal
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from typing import Any, Self

from dicomprep.engines.allowance import FILES_OF_PARENT, FILES_OF_WORKER, require_files
from dicomprep.engines.forkserver import CONTEXT, launching, prepare
from dicomprep.engines.worker import Alive, Casualty, Fault, Limits, Retired, is_readable, serve
from dicomprep.errors import EnvironmentFault, ErrorCode

__all__ = ["LocalEngine"]

QUEUED_TASKS, QUEUED_BYTES = 32, 16 * 2**20
"""A worker is given so much ahead, some hundredths of a second: enough not to wait, not so much that others run dry."""

NAP_SECONDS = 0.004
"""So long answers are left to come together: to be woken for each of them takes longer than to deal with it."""

GRACE_SECONDS = 5.0
"""What a worker is given beyond its own limit before it is killed from here."""

STOP_SECONDS = 3.0
"""What a worker is given to finish its task when the run is stopped."""

IDLE_DEATHS = 5
"""Workers that die before they do anything: after so many in a row, no more are started."""


@dataclass(slots=True, eq=False)
class _Slot:
    process: BaseProcess
    connection: Connection
    lifeline: Connection
    """Never written to: that it closes tells the worker of this process's end."""
    tasks: deque[Any] = field(default_factory=deque)
    """Given and not yet answered; the first is the one at work."""
    weight: int = 0
    heard: float = field(default_factory=time.monotonic)
    overdue: bool = False


class LocalEngine:
    """Runs `work(task, settings, heartbeat)`, named as `module:function`, in `workers` processes.

    `submit` while `wants_more`, `poll` for results and casualties until `idle`. A task whose worker dies is tried
    once more in a fresh worker, then given up; the worker's other tasks are done by others.
    """

    def __init__(self, work: str, settings: object, *, workers: int, limits: Limits) -> None:
        self._work, self._settings, self._workers, self._limits = work, settings, workers, limits
        require_files(FILES_OF_PARENT + FILES_OF_WORKER * workers, ", or give fewer --workers,")
        prepare(work)
        self._slots: list[_Slot] = []
        # where `close` is interrupted: the interpreter waits for processes that it could not end by SIGTERM, for ever
        Finalize(self, _kill, args=(self._slots,), exitpriority=10)
        self._pending: deque[tuple[Any, int]] = deque()
        self._weights: dict[int, int] = {}
        self._suspects: deque[tuple[Any, int]] = deque()
        self._crashed: set[int] = set()
        self._idle_deaths = 0
        self._stopping = False
        self._kill_at = float("inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def wants_more(self) -> bool:
        """Whether another task would not have to wait long."""
        return not self._stopping and len(self._pending) < QUEUED_TASKS

    @property
    def idle(self) -> bool:
        """Whether every task submitted has been answered."""
        return not self._pending and not self._suspects and not any(slot.tasks for slot in self._slots)

    def submit(self, task: object, weight: int = 0) -> None:
        """Take a task; `weight` is the bytes of its input, so that heavy ones are not piled on one worker."""
        self._pending.append((task, weight))

    def poll(self, seconds: float = 0.2) -> list[Any]:
        """Hand out tasks, wait up to `seconds` and return what was answered: results and casualties.

        Raises EnvironmentFault where a worker met one or no worker can be kept alive.
        """
        if not self._stopping:
            self._hand_out()
        ready = wait([slot.connection for slot in self._slots], seconds) if self._slots else []
        if ready and min(len(slot.tasks) for slot in self._slots) > 2:  # nobody is waiting for this process
            time.sleep(NAP_SECONDS)
        answers: list[Any] = []
        for slot in [slot for slot in self._slots if slot.connection in ready]:
            alive = self._receive(slot, answers)
            if not alive:
                answers += self._bury(slot)
        self._kill_overdue()
        return answers

    def stop(self) -> None:
        """Let workers finish what they are at, for some seconds, and drop the rest; once."""
        if self._stopping:
            return
        self._stopping = True
        self._kill_at = time.monotonic() + STOP_SECONDS
        self._pending.clear()
        self._suspects.clear()
        for slot in self._slots:
            with suppress(OSError):
                slot.connection.send(None)

    def close(self) -> None:
        """End all workers at once."""
        _kill(self._slots)
        for slot in self._slots:
            slot.connection.close()
            slot.lifeline.close()
        for slot in self._slots:
            slot.process.join(GRACE_SECONDS)
        self._slots.clear()

    def _hand_out(self) -> None:
        while self._suspects:  # each gets a fresh worker, so that no earlier damage is laid at its door
            self._send(self._start(), [self._suspects.popleft()])
        while self._pending:
            slot = min(self._slots, key=lambda s: (s.weight, len(s.tasks)), default=None)
            if (slot is None or slot.tasks) and len(self._slots) < self._workers:
                slot = self._start()
            if slot is None or len(slot.tasks) > QUEUED_TASKS // 2 or slot.weight > QUEUED_BYTES:
                return
            batch, weight = [self._pending.popleft()], slot.weight
            while self._pending and len(batch) + len(slot.tasks) < QUEUED_TASKS and weight < QUEUED_BYTES:
                if len(self._pending) < self._workers:
                    break
                batch.append(self._pending.popleft())
                weight += batch[-1][1]
            self._send(slot, batch)

    def _send(self, slot: _Slot, batch: list[tuple[Any, int]]) -> None:
        if not slot.tasks:
            slot.heard = time.monotonic()
        for task, weight in batch:
            self._weights[id(task)] = weight
            slot.tasks.append(task)
            slot.weight += weight
        with suppress(BrokenPipeError, ConnectionResetError):  # its death is seen when it is polled
            slot.connection.send([task for task, _ in batch])

    def _receive(self, slot: _Slot, answers: list[Any]) -> bool:
        """Take what a worker has sent; False where it is gone."""
        slot.heard = time.monotonic()
        try:
            while is_readable(slot.connection):
                message = slot.connection.recv()
                if isinstance(message, Fault):
                    raise EnvironmentFault(message.message)
                if isinstance(message, Retired):
                    self._requeue(slot)
                elif not isinstance(message, Alive):
                    self._finish(slot)
                    answers.append(message)
        except (EOFError, OSError):  # also in the middle of an answer
            return False
        return True

    def _finish(self, slot: _Slot) -> Any:  # noqa: ANN401
        """The first task of a worker is done with."""
        task = slot.tasks.popleft()
        slot.weight -= self._weights.pop(id(task), 0)
        self._crashed.discard(id(task))
        self._idle_deaths = 0
        return task

    def _requeue(self, slot: _Slot) -> None:
        while slot.tasks:
            task = slot.tasks.pop()
            self._pending.appendleft((task, self._weights.pop(id(task), 0)))
        slot.weight = 0

    def _bury(self, slot: _Slot) -> list[Casualty]:
        """A worker died: judge the task it was at, and give its others to the living."""
        self._slots.remove(slot)
        slot.connection.close()
        slot.lifeline.close()
        slot.process.join(GRACE_SECONDS)
        if self._stopping:
            return []
        if not slot.tasks:
            self._idle_deaths += slot.process.exitcode != 0
            if self._idle_deaths > IDLE_DEATHS:
                raise EnvironmentFault(f"Worker processes die at once ({_cause(slot.process.exitcode)}).")
            return []
        task, weight = slot.tasks[0], self._weights.get(id(slot.tasks[0]), 0)
        timed_out = slot.overdue or slot.process.exitcode == -getattr(signal, "SIGALRM", 0)
        if timed_out or id(task) in self._crashed:
            self._finish(slot)
            self._requeue(slot)
            return [self._judge(task, slot, timed_out=timed_out)]
        slot.tasks.popleft()
        self._requeue(slot)
        self._crashed.add(id(task))
        self._suspects.append((task, weight))
        return []

    def _judge(self, task: object, slot: _Slot, *, timed_out: bool) -> Casualty:
        if timed_out:
            message = f"no frame was finished within {self._limits.seconds:g} s"
            return Casualty(task, ErrorCode.TIMEOUT, message)
        message = f"it killed its worker twice ({_cause(slot.process.exitcode)})"
        return Casualty(task, ErrorCode.WORKER_CRASHED, message, quarantined=True)

    def _kill_overdue(self) -> None:
        """Where the worker's own alarm could not end it: stuck in the kernel, or a system without alarms."""
        now = time.monotonic()
        for slot in self._slots:
            if now > self._kill_at or (slot.tasks and slot.heard < now - self._limits.seconds - GRACE_SECONDS):
                slot.overdue = True
                slot.process.kill()

    def _start(self) -> _Slot:
        try:
            here, there = CONTEXT.Pipe()
            lifeline, held = CONTEXT.Pipe(duplex=False)
            process = CONTEXT.Process(
                target=serve,
                args=(there, lifeline, self._work, self._settings, self._limits),
                daemon=True,
                name="dicomprep worker",
            )
            with launching():
                process.start()
        except (OSError, EOFError) as error:
            raise EnvironmentFault(f"No worker process can be started: {error}") from error
        there.close()
        lifeline.close()
        slot = _Slot(process, here, held)
        self._slots.append(slot)
        return slot


def _kill(slots: list[_Slot]) -> None:
    for slot in slots:
        slot.process.kill()


def _cause(exitcode: int | None) -> str:
    """What ended a process, in words."""
    if exitcode is None or exitcode >= 0:
        return f"exit code {exitcode}"
    name = signal.Signals(-exitcode).name if -exitcode in set(signal.Signals) else f"signal {-exitcode}"
    return f"{name}, often the system running out of memory" if name == "SIGKILL" else name
