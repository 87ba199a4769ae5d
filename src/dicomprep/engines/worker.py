"""A worker process: takes tasks from a connection, gives results, and dies alone."""

import os
import select
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from multiprocessing.connection import Connection, wait
from typing import Any

from dicomprep.errors import EnvironmentFault, ErrorCode

__all__ = ["Alive", "Casualty", "Fault", "Limits", "Retired", "Work", "is_readable", "serve"]

Work = Callable[[Any, Any, Callable[[], None]], Any]
"""work(task, settings, heartbeat) → result; it calls `heartbeat` whenever a part of the task is finished."""

HEARTBEAT_SECONDS = 1.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a task may cost."""

    seconds: float
    """Without a heartbeat."""
    bytes: int


@dataclass(frozen=True, slots=True)
class Casualty:
    """A task that gave no result, and why."""

    task: Any
    code: ErrorCode
    detail: str
    quarantined: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """The surroundings failed: nothing more can be done by anyone."""

    message: str


class Alive:
    """Sent now and then during a long task."""


class Retired:
    """The worker leaves by itself; what it had not begun is for others."""


def serve(connection: Connection, lifeline: Connection, work: str, settings: object, limits: Limits) -> None:
    """Work until the connection closes or None is received. Runs in its own process; ends when `lifeline` closes.

    `work` is where the function of that kind is: `module:function`.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; the parent decides what ends
        signal.signal(number, signal.SIG_IGN)
    _end_with(lifeline)
    module, _, function = work.partition(":")
    do: Work = getattr(import_module(module), function)
    if "cv2" in sys.modules:  # no environment variable keeps it from making a thread for every core
        sys.modules["cv2"].setNumThreads(1)
    ceiling = _limit_memory(limits.bytes)
    clock = _Clock(connection, limits.seconds)
    waiting: deque[Any] = deque()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            while not waiting or is_readable(connection):
                message = connection.recv()
                if message is None:
                    return
                waiting.extend(message)
            answer = _answer(do, waiting.popleft(), settings, clock)
            connection.send(answer)
            worn = isinstance(answer, Casualty) or _data_bytes() > ceiling - limits.bytes // 2
            if worn:
                connection.send(Retired())
                return


def is_readable(connection: Connection) -> bool:
    """Whether there is something to receive, or the other side is gone; a tenth of the time of `connection.poll`."""
    if sys.platform == "win32":
        return connection.poll(0)
    watch = select.poll()
    watch.register(connection.fileno(), select.POLLIN)
    return len(watch.poll(0)) > 0


def _answer(work: Work, task: object, settings: object, clock: "_Clock") -> object:
    clock.beat()
    try:
        return work(task, settings, clock.beat)
    except EnvironmentFault as error:
        return Fault(str(error))
    except MemoryError:
        return Casualty(task, ErrorCode.OUT_OF_MEMORY, "it needs more memory than a file may take")
    except BaseException as error:  # noqa: BLE001  (the worker's boundary: also Rust panics and SystemExit end here)
        return Casualty(task, ErrorCode.INTERNAL, _trace(error))
    finally:
        clock.stop()


def _trace(error: BaseException) -> str:
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
        self._connection, self._seconds, self._told = connection, seconds, time.monotonic()
        if hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def beat(self) -> None:
        self._set(self._seconds)
        if time.monotonic() - self._told > HEARTBEAT_SECONDS:
            self._connection.send(Alive())
            self._told = time.monotonic()

    def stop(self) -> None:
        self._set(0)
        self._told = time.monotonic()

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
