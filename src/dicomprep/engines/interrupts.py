"""What Ctrl-C (SIGINT) and SIGTERM do, and when. Nothing else in this package sets a handler of either.

A process of the command line goes through these states; in somebody else's program there is only *processing*.

    loading ──► command ──► running ──► processing ──► running ──► command ──► ending
                                            │             ▲
                                            └─ the first ─┘

    state        entered by       SIGINT                                                   SIGTERM
    loading      end_silently     ends the process as the kernel does: no traceback        ends the process
    command      (Python's own)   KeyboardInterrupt, said in a word: exit code 130         ends the process
    running      end_at_once      ends the process where it stands, in a sentence: 130     ends the process
    processing   stop_first       calls `stop`: what is at work is finished and recorded   the same
                                  and what comes next does what it did before
    ending       ignore_at_end    nothing                                                  ends the process
    worker       ignore           nothing: its parent decides, and ends with it            nothing
    being born   hold_back        waits until it is over; what is started inherits that    the same

The pages are served in the state *command*: their server ends in order before it raises KeyboardInterrupt.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

__all__ = ["Stop", "end_at_once", "end_silently", "hold_back", "ignore", "ignore_at_end", "keep_handlers", "stop_first"]

BOTH = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """A flag for a handler to set: `threading.Event` would wait for a lock that the interrupted thread may hold."""

    __slots__ = ("_is_set",)

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """From now on it is set."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether it has been set."""
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Sleep for so long, or until it is set; whether it is."""
        until = time.monotonic() + seconds
        while not self._is_set and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))
        return self._is_set


@contextmanager
def end_silently() -> Iterator[None]:
    """While modules are loaded: an exception could fall into any of them, and would be printed with its traceback."""
    with _handled_by(signal.SIG_DFL, signal.SIGINT):
        yield


@contextmanager
def end_at_once(sentence: str) -> Iterator[None]:
    """Ctrl-C ends the process where it stands with exit code 130, and says `sentence`.

    Raised as an exception it could fall anywhere, also into what tidies up after another one. What this leaves behind
    the next run tidies up, as after a crash, and workers end with their lifeline.
    """

    def end(_number: int, _frame: object) -> NoReturn:
        terminal = "\r\x1b[K\x1b[?25h" if sys.stderr.isatty() else ""  # where the progress bar is, its cursor hidden
        os.write(2, f"{terminal}{sentence}\n".encode())
        os._exit(130)

    with _handled_by(end, signal.SIGINT):
        yield


@contextmanager
def stop_first(stop: Callable[[], None]) -> Iterator[None]:
    """The first SIGINT or SIGTERM calls `stop`; the next does what it would do without this."""
    before = _handlers(*BOTH)

    def handle(_number: int, _frame: object) -> None:
        _restore(before)
        stop()

    with _handled_by(handle, *BOTH):
        yield


def ignore(*numbers: signal.Signals) -> None:
    """From here on, a signal does nothing in this process."""
    for number in _handlers(*numbers):
        signal.signal(number, signal.SIG_IGN)


def ignore_at_end() -> None:
    """From here on Ctrl-C does nothing: the process is ending already, with an exit code that is to stay."""
    ignore(signal.SIGINT)
    # An interrupt within exec(), as dataclasses use it when a module is loaded, makes the interpreter end itself
    # by SIGINT in place of the code given to sys.exit(), until another exec() succeeds.
    exec("")  # noqa: S102


@contextmanager
def hold_back() -> Iterator[None]:
    """Let both signals wait in this thread; a process that it starts meanwhile holds them back for ever."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, BOTH)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def keep_handlers() -> Iterator[None]:
    """For importing a library that sets handlers as it is loaded, as dask_jobqueue does: it may not."""
    before = _handlers(*BOTH)
    try:
        yield
    finally:
        _restore(before)


@contextmanager
def _handled_by(handler: Any, *numbers: signal.Signals) -> Iterator[None]:  # noqa: ANN401
    before = _handlers(*numbers)
    try:
        for number in before:
            signal.signal(number, handler)
        yield
    finally:
        _restore(before)


def _handlers(*numbers: signal.Signals) -> dict[signal.Signals, Any]:
    """The handlers of signals that may be handled from here: by the main thread, and where no C code handles them."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    found = {number: signal.getsignal(number) for number in numbers}
    return {number: handler for number, handler in found.items() if handler is not None}


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
