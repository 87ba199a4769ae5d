"""Workers as processes of this machine, each of which can die without taking anything along."""

import signal
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from typing import Any, ClassVar

from dicomprep.engines.base import Answer, EngineFault, Limits, TaskDone, TaskFailure, WorkerExited, WorkerReady
from dicomprep.engines.forkserver import CONTEXT, current_environment, launching, prepare
from dicomprep.engines.resource_limits import PARENT_OPEN_FILES, WORKER_OPEN_FILES, require_open_files
from dicomprep.engines.worker import is_readable, serve_in
from dicomprep.errors import EnvironmentFault, ErrorCode

__all__ = ["LocalEngine"]

MAX_QUEUED_TASKS, MAX_QUEUED_BYTES = 32, 16 * 2**20
"""Given ahead to one worker, some hundredths of a second: enough not to wait, not so much that others run dry."""

NAP_SECONDS = 0.004
"""How long answers are left to come together: to be woken for each of them takes longer than to deal with it."""

START_SECONDS = 60.0
"""What a worker is given at least to load its work."""

GRACE_SECONDS = 5.0
"""What a worker is given beyond its own limit before it is killed from here."""

STOP_SECONDS = 3.0
"""What a worker is given to finish its task when the run is stopped."""

MAX_IDLE_EXITS = 5
"""Workers in a row that die before they do anything; after them, no more are started."""


@dataclass(slots=True, eq=False)
class _Job:
    """A task on its way: its number, not its place, says which one an answer is for."""

    number: int
    task: Any
    input_bytes: int
    has_crashed: bool = False
    """Its worker died once; it is tried again in a fresh one."""


@dataclass(slots=True, eq=False)
class _Slot:
    """A worker as it is seen from here."""

    process: BaseProcess
    connection: Connection
    lifeline: Connection
    """Never written to: that it closes tells the worker of this process's end."""
    jobs: dict[int, _Job] = field(default_factory=dict)
    """Given and not yet answered, by number; workers do them in the order given, so the first is the one at work."""
    input_bytes: int = 0
    heard_at: float = field(default_factory=time.monotonic)
    is_ready: bool = False
    is_overdue: bool = False

    def add(self, jobs: Iterable[_Job]) -> None:
        """Take on jobs."""
        for job in jobs:
            self.jobs[job.number] = job
            self.input_bytes += job.input_bytes

    def remove(self, number: int) -> _Job:
        """Give up the job of this number."""
        job = self.jobs.pop(number)
        self.input_bytes -= job.input_bytes
        return job


class LocalEngine:
    """Runs `work(task, settings, heartbeat)`, named as `module:function`, in `workers` processes.

    A task whose worker dies is tried once more in a fresh worker, then given up; the worker's other tasks are done by
    others.
    """

    isolates_tasks: ClassVar[bool] = True

    def __init__(self, work: str, settings: object, *, workers: int, limits: Limits, packed: bool = False) -> None:
        """`packed`: tasks come pickled, and so do results that are no TaskFailure: for whoever only hands them on."""
        self._work, self._settings, self._workers, self._limits = work, settings, workers, limits
        self._is_packed = packed
        require_open_files(PARENT_OPEN_FILES + WORKER_OPEN_FILES * workers, ", or use fewer --workers,")
        prepare(work)
        self._slots: list[_Slot] = []
        # where `close` is interrupted: the interpreter waits for processes that it could not end by SIGTERM, for ever
        Finalize(self, _kill, args=(self._slots,), exitpriority=10)
        self._numbers = count()
        self._pending: deque[_Job] = deque()
        self._suspects: deque[_Job] = deque()
        self._idle_exits = 0
        self._is_stopping = False
        self._kill_at = float("inf")

    @property
    def slots(self) -> int:
        """How many tasks are done at a time."""
        return self._workers

    @property
    def wants_more(self) -> bool:
        """Whether another task would not have to wait long."""
        return not self._is_stopping and len(self._pending) < MAX_QUEUED_TASKS

    @property
    def idle(self) -> bool:
        """Whether every task submitted has been answered or dropped."""
        return not self._pending and not self._suspects and not any(slot.jobs for slot in self._slots)

    def submit(self, task: object, input_bytes: int = 0) -> None:
        """Take a task; `input_bytes` is the size of what it reads, so that heavy ones are not piled on one worker."""
        self._pending.append(_Job(next(self._numbers), task, input_bytes))

    def poll(self, seconds: float) -> list[Answer[Any, Any]]:
        """Hand out tasks, wait up to `seconds` and give what was answered.

        Raises EnvironmentFault where a worker met one or no worker can be kept alive.
        """
        if not self._is_stopping:
            self._hand_out()
        ready = wait([slot.connection for slot in self._slots], seconds) if self._slots else []
        if ready and min(len(slot.jobs) for slot in self._slots) > 2:  # nobody is waiting for this process
            time.sleep(NAP_SECONDS)
        answers: list[Answer[Any, Any]] = []
        for slot in [slot for slot in self._slots if slot.connection in ready]:
            if not self._receive(slot, answers):
                answers += self._handle_exit(slot)
        self._kill_overdue()
        return answers

    def stop(self) -> None:
        """Let workers finish what they are at, for some seconds, and drop what waits; once."""
        if self._is_stopping:
            return
        self._is_stopping = True
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
            slot = min(self._slots, key=lambda s: (s.input_bytes, len(s.jobs)), default=None)
            if (slot is None or slot.jobs) and len(self._slots) < self._workers:
                slot = self._start()
            if slot is None or len(slot.jobs) > MAX_QUEUED_TASKS // 2 or slot.input_bytes > MAX_QUEUED_BYTES:
                return
            self._send(slot, self._next_jobs(slot))

    def _next_jobs(self, slot: _Slot) -> list[_Job]:
        """As many as a worker is to be given; where few are left, one, so that all workers have some."""
        jobs, input_bytes = [self._pending.popleft()], slot.input_bytes
        while len(self._pending) >= self._workers:
            if len(jobs) + len(slot.jobs) >= MAX_QUEUED_TASKS or input_bytes >= MAX_QUEUED_BYTES:
                break
            jobs.append(self._pending.popleft())
            input_bytes += jobs[-1].input_bytes
        return jobs

    def _send(self, slot: _Slot, jobs: list[_Job]) -> None:
        if not slot.jobs:
            slot.heard_at = time.monotonic()
        slot.add(jobs)
        with suppress(BrokenPipeError, ConnectionResetError):  # its death is seen when it is polled
            slot.connection.send([(job.number, job.task) for job in jobs])

    def _receive(self, slot: _Slot, answers: list[Answer[Any, Any]]) -> bool:
        """Take what a worker has sent; False where it is gone."""
        slot.heard_at = time.monotonic()
        try:
            while is_readable(slot.connection):
                self._handle_message(slot, slot.connection.recv(), answers)
        except (EOFError, OSError):  # also in the middle of an answer
            return False
        return True

    def _handle_message(self, slot: _Slot, message: object, answers: list[Answer[Any, Any]]) -> None:
        if isinstance(message, TaskDone):
            self._idle_exits = 0
            answers.append(Answer(slot.remove(message.number).task, message.result))
        elif isinstance(message, EngineFault):
            raise EnvironmentFault(message.message)
        elif isinstance(message, WorkerExited):
            self._requeue(slot)
        elif isinstance(message, WorkerReady):
            slot.is_ready = True

    def _requeue(self, slot: _Slot) -> None:
        """Put what a worker was given and has not answered before all that waits."""
        for number in reversed(list(slot.jobs)):
            job = slot.remove(number)
            (self._suspects if job.has_crashed else self._pending).appendleft(job)

    def _handle_exit(self, slot: _Slot) -> list[Answer[Any, Any]]:
        """A worker is gone: judge the task it was at, and give its others to the living."""
        self._slots.remove(slot)
        slot.connection.close()
        slot.lifeline.close()
        slot.process.join(GRACE_SECONDS)
        if self._is_stopping:
            return []
        if not slot.jobs or not slot.is_ready:
            self._count_idle_exit(slot)
            self._requeue(slot)
            return []
        job = slot.remove(next(iter(slot.jobs)))
        self._requeue(slot)
        timed_out = slot.is_overdue or slot.process.exitcode == -getattr(signal, "SIGALRM", 0)
        if timed_out or job.has_crashed:
            self._idle_exits = 0
            return [Answer(job.task, self._explain_exit(slot, timed_out=timed_out))]
        job.has_crashed = True
        self._suspects.append(job)
        return []

    def _count_idle_exit(self, slot: _Slot) -> None:
        """EnvironmentFault where workers die again and again before they do anything."""
        self._idle_exits += slot.process.exitcode != 0
        if self._idle_exits > MAX_IDLE_EXITS:
            raise EnvironmentFault(f"Worker processes crash at their start ({_describe_exit(slot.process.exitcode)}).")

    def _explain_exit(self, slot: _Slot, *, timed_out: bool) -> TaskFailure:
        if timed_out:
            return TaskFailure(ErrorCode.TIMEOUT, f"no frame finished within {self._limits.seconds:g} s")
        detail = f"crashed its worker process twice ({_describe_exit(slot.process.exitcode)})"
        return TaskFailure(ErrorCode.WORKER_CRASHED, detail, quarantined=True)

    def _kill_overdue(self) -> None:
        """Where the worker's own alarm could not end it: stuck in the kernel, or a system without alarms."""
        now = time.monotonic()
        for slot in self._slots:
            allowed = self._limits.seconds if slot.is_ready else max(START_SECONDS, self._limits.seconds)
            if now > self._kill_at or (slot.jobs and slot.heard_at < now - allowed - GRACE_SECONDS):
                slot.is_overdue = True
                slot.process.kill()

    def _start(self) -> _Slot:
        try:
            here, there = CONTEXT.Pipe()
            lifeline, held = CONTEXT.Pipe(duplex=False)
            told = there, lifeline, self._work, self._settings, self._limits, self._is_packed
            arguments = current_environment(), *told
            process = CONTEXT.Process(target=serve_in, args=arguments, daemon=True, name="dicomprep worker")
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


def _describe_exit(exitcode: int | None) -> str:
    """What ended a process, in words."""
    if exitcode is None or exitcode >= 0:
        return f"exit code {exitcode}"
    name = signal.Signals(-exitcode).name if -exitcode in set(signal.Signals) else f"signal {-exitcode}"
    return f"{name}, often because the system is out of memory" if name == "SIGKILL" else name
