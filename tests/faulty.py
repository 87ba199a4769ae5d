"""Work that goes wrong as decoders do, for the tests of what must survive it. Runs in worker processes."""

import ctypes
import os
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path, PurePosixPath
from threading import Timer
from typing import Any

from dicomprep.errors import EnvironmentFault
from dicomprep.models import Outcome, Settings, Task
from dicomprep.pipeline.process_file import process

Heartbeat = Callable[[], None]

WORK, PROCESS = f"{__name__}:faulty_work", f"{__name__}:faulty_process"
"""Where workers find what follows."""


def _spin() -> None:
    while True:
        pass


def _eat_memory() -> None:
    eaten = []
    while True:
        eaten.append(bytearray(2**24))


def _raise(error: BaseException) -> Callable[[], None]:
    def fault() -> None:
        raise error

    return fault


FAULTS: dict[str, Callable[[], object]] = {
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "exit": lambda: os._exit(3),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "hang": _spin,
    "hangc": lambda: ctypes.PyDLL(None).sleep(1000),  # keeps the GIL
    "sleep": lambda: time.sleep(1000),
    "memory": _eat_memory,
    "raise": _raise(RuntimeError("a bug of ours")),
    "starve": _raise(MemoryError()),
    "leave": _raise(SystemExit(0)),
    "disk": _raise(EnvironmentFault("no space left")),
}
"""What a task or a file of this name does."""


def faulty_work(task: str, settings: Any, heartbeat: Heartbeat) -> object:
    """Do what the task's name says, `word-detail-anything`; a good one is answered by its name."""
    word, detail, *_ = [*task.split("-"), ""]
    if word in FAULTS:
        FAULTS[word]()
    elif word == "once" and _is_first(Path(settings) / task):
        os.abort()
    elif word in ACTS:
        return ACTS[word](detail, heartbeat) or task
    return task


def _nap(seconds: str, _heartbeat: Heartbeat) -> None:
    time.sleep(float(seconds))


def _beat(seconds: str, heartbeat: Heartbeat) -> None:
    for _ in range(round(float(seconds) / 0.1)):
        time.sleep(0.1)
        heartbeat()


def _turn_deaf(_detail: str, _heartbeat: Heartbeat) -> None:
    """As if stuck in the kernel: no alarm ends it."""
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    time.sleep(1000)


def _hoard(megabytes: str, _heartbeat: Heartbeat) -> None:
    HOARD.append(bytearray(b"x") * int(megabytes) * 2**20)


def _answer_and_die(_detail: str, _heartbeat: Heartbeat) -> bytes:
    """Killed from outside, while its answer is on the way."""
    Timer(0.3, FAULTS["kill"]).start()
    return bytes(2**26)


def _answer_at_length(megabytes: str, _heartbeat: Heartbeat) -> bytes:
    return bytes([len(megabytes)]) * (int(megabytes) * 2**20)


def _take(megabytes: str, _heartbeat: Heartbeat) -> None:
    """Memory that is given back at once."""
    bytearray(int(megabytes) * 2**20)


def _answer_by_a_function(_detail: str, _heartbeat: Heartbeat) -> Callable[[], None]:
    """Which is nothing that one process can send to another."""
    return lambda: None


def _kill_dask_worker(_detail: str, _heartbeat: Heartbeat) -> None:
    """The process whose engine this one belongs to: it started the one that this is a copy of."""
    above = os.getppid()
    os.kill(int(Path(f"/proc/{above}/stat").read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)
    time.sleep(30)


ACTS = {
    "fell": _kill_dask_worker,
    "function": _answer_by_a_function,
    "nap": _nap,
    "beats": _beat,
    "deaf": _turn_deaf,
    "hoard": _hoard,
    "torn": _answer_and_die,
    "large": _answer_at_length,
    "take": _take,
}
HOARD: list[bytearray] = []


def faulty_process(task: Task, settings: Settings, heartbeat: Heartbeat) -> Outcome:
    """`process`, but a file called `segfault.dcm` and so on misbehaves, once its digest is known."""
    word, _, rest = PurePosixPath(task.source.path).name.removesuffix(".dcm").partition("-")
    if word == "late" and task.digest_only:
        time.sleep(0.5)
    if task.digest_only:
        return process(task, settings, heartbeat)
    if word in FAULTS:
        FAULTS[word]()
    elif word == "nap":
        time.sleep(float(rest))
    elif word == "full":
        resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))
    return process(task, settings, _BEATS[word](task, rest) if word in _BEATS else heartbeat)


def _slow_beat(task: Task, fault: str) -> Heartbeat:
    """Every frame takes its time and leaves a mark of who made it; `fault` happens in the middle of a share."""
    marks = Path(f"{task.source.root}.marks")
    marks.mkdir(exist_ok=True)
    beats = count()

    def beat() -> None:
        time.sleep(0.04)
        (marks / f"{os.getpid()}").touch()
        if fault in FAULTS and task.frame_range is not None and next(beats) == 3:
            FAULTS[fault]()
        if fault == "growing" and task.frame_range is not None and next(beats) == 3:
            _grow(Path(task.source.root, task.source.path))

    return beat


def _nth_beat(count: int, then: Callable[[], object]) -> Heartbeat:
    left = iter(range(count - 1))
    return lambda: None if next(left, None) is not None else then()  # type: ignore[func-returns-value]


def _grow(file: Path) -> None:
    with file.open("ab") as stream:
        stream.write(b"\0\0")


_BEATS: dict[str, Callable[[Task, str], Heartbeat]] = {
    "tail": lambda _task, rest: _nth_beat(2, FAULTS.get(rest, int)),  # dies when its second frame is to be drawn
    "growing": lambda task, _rest: lambda: _grow(Path(task.source.root, task.source.path)),
    "long": _slow_beat,
}
"""What happens whenever a frame of a file of this name is finished."""


def _is_first(mark: Path) -> bool:
    with suppress(FileExistsError):
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        return True
    return False


def quoting(task: Task, _settings: Settings, _heartbeat: Heartbeat) -> Outcome:
    """A bug whose message quotes the file, in a chain of two."""
    quoted = task.source.path.upper()
    try:
        raise KeyError(quoted)
    except KeyError as error:
        raise ValueError(f"{quoted} is no number") from error
