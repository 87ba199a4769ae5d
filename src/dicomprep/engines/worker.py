"""A worker process: takes numbered tasks from a connection, sends what came of each, and dies alone."""

import os
import pickle
import select
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from typing import Any, Self

from dicomprep.engines.base import (
    EngineFault,
    Heartbeat,
    Limits,
    TaskDone,
    TaskFailure,
    Work,
    WorkerExited,
    WorkerReady,
)
from dicomprep.engines.interrupts import ignore
from dicomprep.errors import EnvironmentFault, ErrorCode

__all__ = ["attempt", "is_readable", "load_work", "serve", "serve_in"]

HEARTBEAT_SECONDS = 1.0
"""Between two heartbeats that are sent; more of them would only wake the parent."""

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0


def load_work(name: str) -> Work:
    """The function that `module:function` names; EnvironmentFault where it, or what it needs, cannot be loaded."""
    module, _, function = name.partition(":")
    try:
        work: Work = getattr(import_module(module), function)
    except Exception as error:
        what = f"{module} cannot be loaded ({type(error).__name__}: {error})"
        raise EnvironmentFault(f"{what}. Install dicomprep and what it needs again.") from error
    return work


def serve_in(environment: Mapping[str, str], *arguments: Any) -> None:  # noqa: ANN401
    """Take over an environment, that of the parent now, and `serve`."""
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)
    serve(*arguments)


def serve(
    connection: Connection, lifeline: Connection, work: str, settings: object, limits: Limits, packed: bool
) -> None:
    """Work until the connection closes or None is received. Runs in its own process; ends when `lifeline` closes.

    `work` is where the function of that kind is: `module:function`; `packed`, whether it gets and gives pickles.
    """
    ignore(signal.SIGINT, signal.SIGTERM)  # sent to the whole group; the parent decides what ends
    _end_with(lifeline)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            do = _pack(load_work(work)) if packed else load_work(work)
        except EnvironmentFault as fault:
            connection.send(EngineFault(str(fault)))
            return
        if "cv2" in sys.modules:  # no environment variable keeps it from making a thread for every core
            sys.modules["cv2"].setNumThreads(1)
        _serve_tasks(connection, do, settings, limits)


def _pack(work: Work) -> Work:
    def packed(task: bytes, settings: object, heartbeat: Callable[[], None]) -> bytes:
        return pickle.dumps(work(pickle.loads(task), settings, heartbeat))  # noqa: S301  (from the parent)

    return packed


def _serve_tasks(connection: Connection, work: Work, settings: object, limits: Limits) -> None:
    """Do what is received until that is None, or until this process has seen enough."""
    ceiling = _limit_memory(limits.bytes)
    clock = _Clock(connection, limits.seconds)
    waiting: deque[tuple[int, Any]] = deque()
    connection.send(WorkerReady())
    while True:
        while not waiting or is_readable(connection):
            message = connection.recv()
            if message is None:
                return
            waiting.extend(message)
        number, task = waiting.popleft()
        try:
            with clock:
                result = attempt(work, task, settings, clock.beat)
        except EnvironmentFault as fault:
            connection.send(EngineFault(str(fault)))
            return
        failed = _send_answer(connection, number, result)
        if failed or _data_bytes() > ceiling - limits.bytes // 2:
            connection.send(WorkerExited())
            return


def is_readable(connection: Connection) -> bool:
    """Whether there is something to receive, or the other side is gone; a tenth of the time of `connection.poll`."""
    if sys.platform == "win32":
        return connection.poll(0)
    watch = select.poll()
    watch.register(connection.fileno(), select.POLLIN)
    return len(watch.poll(0)) > 0


def _send_answer(connection: Connection, number: int, result: object) -> bool:
    """Send what came of a task; whether it failed, also because its result is too large or of no kind that is sent."""
    message = attempt(_encode, TaskDone(number, result), None, lambda: None)
    if isinstance(message, TaskFailure):
        result, message = message, _encode(TaskDone(number, message))
    connection.send_bytes(message)
    return isinstance(result, TaskFailure)


def _encode(answer: TaskDone, *_: object) -> memoryview:
    return ForkingPickler.dumps(answer)


def attempt(work: Work, task: object, settings: object, heartbeat: Callable[[], None]) -> Any:  # noqa: ANN401
    """What the work returns, or a TaskFailure for what it raises; but EnvironmentFault and Ctrl-C go on."""
    try:
        return work(task, settings, heartbeat)
    except (EnvironmentFault, KeyboardInterrupt):
        raise
    except MemoryError:
        return TaskFailure(ErrorCode.OUT_OF_MEMORY, "exceeded the memory limit per file")
    except BaseException as error:  # noqa: BLE001  (the boundary of a task: also Rust panics and SystemExit end here)
        return TaskFailure(ErrorCode.INTERNAL, _describe_trace(error))


def _describe_trace(error: BaseException) -> str:
    """Where an error came from, without its message: that may quote what a file holds, and this is recorded."""
    lines: list[str] = []
    at: BaseException | None = error
    while at is not None and len(lines) < 200:
        frames = traceback.extract_tb(at.__traceback__)
        place = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
        lines[:0] = [*traceback.format_list(frames), f"{type(at).__module__}.{type(at).__qualname__}{place}\n"]
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return "Traceback (its messages are left out: they may quote the file)\n" + "".join(lines)


class _Clock:
    """Ends this process by SIGALRM, even inside C, when a task goes on for too long without a heartbeat."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._connection, self._seconds, self._sent_at = connection, seconds, time.monotonic()
        if hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def __enter__(self) -> Self:
        self.beat()
        return self

    def __exit__(self, *_: object) -> None:
        self._set(0)
        self._sent_at = time.monotonic()

    def beat(self) -> None:
        self._set(self._seconds)
        if time.monotonic() - self._sent_at > HEARTBEAT_SECONDS:
            self._connection.send(Heartbeat())
            self._sent_at = time.monotonic()

    def _set(self, seconds: float) -> None:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, seconds)


def _end_with(lifeline: Connection) -> None:
    """End this process when the one that started it is gone, even while C code holds the interpreter.

    The kernel sends SIGIO, which ends a process by default, when the other end of the pipe closes.
    """
    if sys.platform != "linux":
        threading.Thread(target=lambda: (wait([lifeline]), os._exit(1)), daemon=True).start()
        return
    import fcntl

    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    if lifeline.poll(0):  # it closed before the kernel was told to watch it
        os._exit(1)


def _limit_memory(more: int) -> int:
    """Let this process take `more` bytes beyond what it has now; return the ceiling."""
    ceiling = _data_bytes() + more
    if sys.platform == "linux":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (ceiling, hard))
    return ceiling


def _data_bytes() -> int:
    """Private writable memory of this process; 0 where the system does not tell."""
    descriptor = _open_statm()
    return 0 if descriptor is None else int(os.pread(descriptor, 256, 0).split()[5]) * _PAGE_BYTES


@cache
def _open_statm() -> int | None:
    """Kept open, for it is read after every task. Opened in the worker: a copy would tell of another process."""
    try:
        return os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
