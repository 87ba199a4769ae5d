"""The states of a process as `interrupts` draws them: with real signals, in this process."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomprep.engines.interrupts import BOTH, end_at_once, end_silently, hold_back, stop_first
from tests.running import PROJECT, call


@pytest.fixture(autouse=True)
def _handlers_as_before() -> Iterator[None]:
    before = [signal.getsignal(number) for number in BOTH]
    yield
    assert [signal.getsignal(number) for number in BOTH] == before


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", BOTH)
def test_the_first_stops_and_the_next_does_what_it_did_before(number: signal.Signals) -> None:
    calls: list[str] = []
    before = signal.signal(number, lambda *_: calls.append("before"))
    try:
        with stop_first(lambda: calls.append("stop")):
            send(number)
            send(number)
            assert calls == ["stop", "before"]
        send(number)
    finally:
        signal.signal(number, before)
    assert calls == ["stop", "before", "before"]


def test_within_a_stopped_run_ctrl_c_is_an_exception_again() -> None:
    stops: list[int] = []
    with pytest.raises(KeyboardInterrupt), stop_first(lambda: stops.append(1)):
        send(signal.SIGINT)
        send(signal.SIGINT)
    assert stops == [1]


def test_a_thread_that_is_not_the_main_one_changes_nothing() -> None:
    """Only the main thread may set handlers: `preprocess` in another one is not interrupted, and does not fail."""
    failures: list[BaseException] = []

    def enter_all() -> None:
        try:
            with end_silently(), end_at_once("ended"), stop_first(lambda: None):
                pass
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    thread = threading.Thread(target=enter_all)
    thread.start()
    thread.join()
    assert failures == []


def test_a_handler_of_c_code_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python knows no name for it, in a program that embeds Python (3D Slicer), and could not give it back."""
    seen: list[str] = []
    before = signal.signal(signal.SIGTERM, lambda *_: seen.append("the program's own"))
    known = signal.getsignal
    monkeypatch.setattr(signal, "getsignal", lambda number: None if number == signal.SIGTERM else known(number))
    with stop_first(lambda: seen.append("stop")):
        send(signal.SIGTERM)
    monkeypatch.undo()
    signal.signal(signal.SIGTERM, before)
    assert seen == ["the program's own"]


def test_signals_that_are_held_back_come_afterward() -> None:
    calls: list[str] = []
    with stop_first(lambda: calls.append("stop")):
        with hold_back():
            signal.raise_signal(signal.SIGINT)  # to this thread
            assert calls == []
        assert calls == ["stop"]


def test_a_running_command_ends_where_it_stands() -> None:
    script = f"""
import os, signal
from dicomprep.engines.interrupts import end_at_once
with end_at_once("Error: ended."):
    try:
        os.kill(os.getpid(), {signal.SIGINT.value})
    finally:
        print("tidied up", flush=True)
"""
    done = call([sys.executable, "-c", script], PROJECT)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Error: ended.\n")


def test_nothing_else_sets_a_handler_of_ctrl_c() -> None:
    """A worker's own alarm and lifeline are no interrupts."""
    package = PROJECT / "src" / "dicomprep"
    found = {path.relative_to(package).as_posix() for path in package.rglob("*.py") if _handles_interrupts(path)}
    assert found == {"engines/interrupts.py"}


def _handles_interrupts(path: Path) -> bool:
    lines = path.read_text(encoding="utf-8").splitlines()
    calls = [line for line in lines if "signal.signal(" in line or "pthread_sigmask(" in line]
    return any("SIGALRM" not in line and "SIGIO" not in line for line in calls)


INTERRUPTED_ANYWHERE = """
import os, signal, sys
from dicomprep.engines.interrupts import Stop, stop_first

def interrupt_at(step):
    stop, left = Stop(), [step]
    def trace(_frame, _event, _argument):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return trace
    with stop_first(stop.set):
        sys.settrace(trace)
        stop.wait(0.01)
        sys.settrace(None)

for step in range(1, 40):
    interrupt_at(step)
print("ended")
"""


def test_a_handler_may_set_what_the_interrupted_thread_waits_for() -> None:
    """Wherever in `wait` the thread stands: `threading.Event` holds a lock there that its setter needs, too."""
    done = call([sys.executable, "-c", INTERRUPTED_ANYWHERE], PROJECT, timeout=30)
    assert done.stdout == "ended\n", done.stderr
