"""Looking into source files for the pages, in a process of its own: a hostile file can only end that.

This side loads no decoder. Tasks are run by `viewer_worker.answer`, in the process.
"""

import threading
from dataclasses import dataclass
from typing import Any

from dicomprep.engines.base import Answer, Engine, Limits, TaskFailure
from dicomprep.engines.select import open_engine
from dicomprep.storage.base import ImageStore

__all__ = [
    "Explain",
    "FindText",
    "FrameView",
    "MeasureGrayLevels",
    "ReadTags",
    "Refusal",
    "ViewFrame",
    "Viewer",
]

VIEWER_WORK = "dicomprep.checks.viewer_worker:answer"

SECONDS, BYTES = 30.0, 2 * 2**30
"""What one question may take, of time and of memory."""


@dataclass(frozen=True, slots=True)
class ViewFrame:
    """Give one frame (from 0) of the file at `path` at full resolution."""

    path: str
    index: int


@dataclass(frozen=True, slots=True)
class ReadTags:
    """List the attributes of the file at `path`: those that say nothing of a person, or `everything`."""

    path: str
    everything: bool


@dataclass(frozen=True, slots=True)
class Explain:
    """Say of the file at `path` what `inspect` says of it; `image` are the options of its run."""

    path: str
    image: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FindText:
    """Find lines of text in one frame (from 0) of the file at `path`: boxes (top, left, bottom, right) in pixels."""

    path: str
    index: int


@dataclass(frozen=True, slots=True)
class MeasureGrayLevels:
    """Count the gray levels of thumbnails, in 32 bins from black to white."""

    images: ImageStore
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FrameView:
    """A frame as a page can draw it: `about` in JSON-able values, then arrays in the order that it names."""

    about: dict[str, Any]
    content: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something cannot be shown."""

    code: str
    detail: str


class Viewer:
    """Runs one task at a time; may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engine: Engine[Any, Any] | None = None

    def ask(self, task: object) -> Any:  # noqa: ANN401  (what the task says)
        """The answer, or a Refusal; EnvironmentFault where no process can be kept alive."""
        with self._lock:
            try:
                return self._answer(task)
            except BaseException:  # nobody waits for it any more: let it not keep the next one waiting
                self._end()
                raise

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _answer(self, task: object) -> Any:  # noqa: ANN401
        if self._engine is None:
            self._engine = open_engine(VIEWER_WORK, None, workers=1, limits=Limits(SECONDS, BYTES))
        self._engine.submit(task)
        while True:
            for answer in self._engine.poll(SECONDS):
                if answer.task is task:  # and of none that was asked before
                    return _result_of(answer)

    def _end(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None


def _result_of(answer: Answer[Any, Any]) -> Any:  # noqa: ANN401
    failure = answer.result
    if isinstance(failure, TaskFailure):
        return Refusal(failure.code, failure.detail.strip().rpartition("\n")[2])
    return failure
