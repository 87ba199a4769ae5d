"""The contract of an engine: tasks in, answers out, each of which carries its task; and what a worker tells its parent.

An engine knows nothing of DICOM. What it runs is named as `module:function`, so that the process which hands tasks out
need not load it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

from dicomprep.errors import ErrorCode

__all__ = [
    "Answer",
    "Engine",
    "EngineFault",
    "Heartbeat",
    "Limits",
    "TaskDone",
    "TaskFailure",
    "Work",
    "WorkerExited",
    "WorkerReady",
]

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")

Work = Callable[[Any, Any, Callable[[], None]], Any]
"""work(task, settings, heartbeat) → result; it calls `heartbeat` whenever a part of the task is finished."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a task may cost, where the engine can hold it to that."""

    seconds: float
    """Without a heartbeat."""
    bytes: int
    """Of memory, beyond what the worker has when it starts."""


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """Why a task gave no result."""

    code: ErrorCode
    detail: str
    quarantined: bool = False
    """It crashed its worker process twice."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[TaskT, ResultT]):
    """What came of a task."""

    task: TaskT
    """The very object that was submitted: whose answer this is never depends on when it comes."""
    result: ResultT | TaskFailure


class Engine(Protocol[TaskT, ResultT]):
    """Runs tasks: `submit` while `wants_more`, `poll` for answers until `idle`, `close` in any case.

    Every task is answered exactly once, in any order, unless `stop` dropped it. tests/engines/contract.py holds this.
    """

    isolates_tasks: ClassVar[bool]
    """Whether a task that crashes in C code, hangs or takes too much memory is ended and answered by a TaskFailure.

    Where not, a crash ends this process, and Limits are not enforced. An exception is a TaskFailure in any case.
    """

    @property
    def slots(self) -> int:
        """How many tasks are done at a time; at least 1. Where workers come and go, it changes."""

    @property
    def wants_more(self) -> bool:
        """Whether another task would not have to wait long; never after `stop`."""

    @property
    def idle(self) -> bool:
        """Whether every task submitted has been answered or dropped."""

    def submit(self, task: TaskT, input_bytes: int = 0) -> None:
        """Take a task; `input_bytes` is the size of what it reads, so that heavy ones are not piled on one worker."""

    def poll(self, seconds: float) -> list[Answer[TaskT, ResultT]]:
        """Give what was answered, after `seconds` at most where nothing is.

        Raises EnvironmentFault where a task met one, or where no worker can be started or kept alive.
        """

    def stop(self) -> None:
        """Drop what waits, and let what is at work be finished, for some seconds; `poll` until `idle`."""

    def close(self) -> None:
        """End everything at once; may be called again."""


class TaskDone(NamedTuple):
    """From a worker: what came of the task that was sent to it under this number."""

    number: int
    result: object
    """What the work returned, or a TaskFailure."""


class WorkerReady(NamedTuple):
    """From a worker: it has loaded its work. Until then its end is no task's fault."""


class Heartbeat(NamedTuple):
    """From a worker: a long task goes on."""


class WorkerExited(NamedTuple):
    """From a worker: it leaves by itself; what it had not begun is for others."""


class EngineFault(NamedTuple):
    """From a worker: the surroundings failed, and nothing more can be done by anyone."""

    message: str
