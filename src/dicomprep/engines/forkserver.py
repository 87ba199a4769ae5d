"""How worker processes come to be: what they are copies of, what they inherit, and what they must not."""

import multiprocessing
import os
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from typing import Any

from dicomprep.engines.interrupts import hold_back

__all__ = ["CONTEXT", "current_environment", "launching", "may_start_processes", "prepare"]

WORKER_ENVIRONMENT = {
    # no thread pools of their own: the processes are the parallelism
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    # glibc keeps the memory of one frame for the next: to be given thousands of fresh pages each time takes
    # half of a mammogram's time
    "MALLOC_MMAP_THRESHOLD_": f"{32 * 2**20}",
    "MALLOC_TRIM_THRESHOLD_": f"{128 * 2**20}",
}

CONTEXT: Any = multiprocessing.get_context("forkserver" if sys.platform != "win32" else "spawn")


_WORKER_TEMPLATE = forkserver.ForkServer()
"""The process that workers are copies of."""

_START_LOCK = threading.RLock()
"""Held while processes are started: what is changed meanwhile belongs to all threads of this process."""


def may_start_processes() -> bool:
    """Whether this process may have children: daemons may not, such as the workers of a pool or of Celery."""
    return not multiprocessing.current_process().daemon


def prepare(work: str) -> None:
    """Begin to load what `work` (`module:function`) needs, in the process that workers will be copies of.

    It takes most of a second, and can be done while this process is still loading its own.
    """
    if sys.platform == "win32" or not may_start_processes():
        return
    _WORKER_TEMPLATE.set_forkserver_preload([work.partition(":")[0]])
    with launching():
        _WORKER_TEMPLATE.ensure_running()


@contextmanager
def launching() -> Iterator[None]:
    """Within, processes may be started: with their own environment, no signals, and nothing of the caller's script."""
    with _START_LOCK, _own_template(), _empty_main(), _worker_environment(), _signals_held_back():
        yield


@contextmanager
def _own_template() -> Iterator[None]:
    """Copy workers from a process of our own: what others start (a pool, a loader of torch) must get signals."""
    before = forkserver.connect_to_new_process
    forkserver.connect_to_new_process = _WORKER_TEMPLATE.connect_to_new_process
    try:
        yield
    finally:
        forkserver.connect_to_new_process = before


@contextmanager
def _empty_main() -> Iterator[None]:
    """Keep workers from importing the caller's script again: they need nothing of it, and it may have no guard."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _reset_after_fork() -> None:
    """In a copy of this process: the process that workers are copied from is the original's child, not its own."""
    _START_LOCK.__init__()
    _WORKER_TEMPLATE.__init__()  # type: ignore[misc]


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Hold signals back while workers are prepared: what starts them inherits that, and is not ended by Ctrl-C."""
    if sys.platform != "win32":
        resource_tracker.ensure_running()  # it would let signals through again when it starts
    with hold_back():
        yield


def current_environment() -> dict[str, str]:
    """What workers are to find in their environment: what is there now, not when the first of them were prepared.

    A notebook may have got credentials since then, or other ones.
    """
    return dict(os.environ) | WORKER_ENVIRONMENT


@contextmanager
def _worker_environment() -> Iterator[None]:
    """What workers find in their environment."""
    before = {name: os.environ.get(name) for name in WORKER_ENVIRONMENT}
    os.environ.update(WORKER_ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
