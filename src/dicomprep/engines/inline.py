"""Tasks done in this process: for tests, debuggers, and processes that may not start others."""

from collections import deque
from typing import Any, ClassVar

from dicomprep.engines.base import Answer, Work
from dicomprep.engines.worker import attempt, load_work

__all__ = ["InlineEngine"]


class InlineEngine:
    """Runs `work(task, settings, heartbeat)`, named as `module:function`, one task at each `poll`.

    Nothing stands between a task and this process: a crash of C code ends it, and a hang is for ever.
    """

    isolates_tasks: ClassVar[bool] = False

    def __init__(self, work: str, settings: object) -> None:
        self._name, self._settings = work, settings
        self._work: Work | None = None
        self._pending: deque[Any] = deque()
        self._is_stopped = False

    @property
    def slots(self) -> int:
        """One task at a time."""
        return 1

    @property
    def wants_more(self) -> bool:
        """Whether nothing is left to do."""
        return not self._is_stopped and not self._pending

    @property
    def idle(self) -> bool:
        """Whether every task submitted has been answered or dropped."""
        return not self._pending

    def submit(self, task: object, input_bytes: int = 0) -> None:
        """Take a task."""
        self._pending.append(task)

    def poll(self, seconds: float) -> list[Answer[Any, Any]]:
        """Do one task and give its answer. Raises EnvironmentFault where it met one, or cannot be loaded."""
        if not self._pending:
            return []
        if self._work is None:
            self._work = load_work(self._name)
        task = self._pending.popleft()
        return [Answer(task, attempt(self._work, task, self._settings, _ignore_heartbeat))]

    def stop(self) -> None:
        """Drop what waits."""
        self._is_stopped = True
        self._pending.clear()

    def close(self) -> None:
        """Drop what waits."""
        self.stop()


def _ignore_heartbeat() -> None:
    """Nobody waits for a sign of life."""
