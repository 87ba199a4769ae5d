"""Looking into source files for the pages, in a process of its own: a hostile file can only end that.

This side knows no decoder. What is asked is done by `rendering.answer`, which the process loads.
"""

import threading
from dataclasses import dataclass
from itertools import count
from typing import Any

from dicomprep.engines.local import LocalEngine
from dicomprep.engines.worker import Casualty, Limits
from dicomprep.storage.base import ImageStore

__all__ = [
    "Answer",
    "Explain",
    "FrameView",
    "MeasureGreys",
    "Question",
    "ReadTags",
    "Refusal",
    "ViewFrame",
    "Viewer",
]

RENDERING = "dicomprep.checks.viewer_worker:answer"
SECONDS = 30.0
BYTES = 2 * 2**30


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
class MeasureGreys:
    """Count the greys of thumbnails, in 32 bins from black to white."""

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


@dataclass(frozen=True, slots=True)
class Question:
    """A task and its number: answers are told apart by that, never by when they come."""

    number: int
    task: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What the process says to the question of this number."""

    number: int
    value: Any


class Viewer:
    """Answers one question at a time; may be asked from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engine: LocalEngine | None = None
        self._numbers = count(1)

    def ask(self, task: object) -> Any:  # noqa: ANN401  (what the task says)
        """The answer, or a Refusal; EnvironmentFault where no process can be kept alive."""
        with self._lock:
            question = Question(next(self._numbers), task)
            try:
                return self._answer(question)
            except BaseException:  # what was asked and not answered must not be answered to the next one
                self._end()
                raise

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _answer(self, question: Question) -> Any:  # noqa: ANN401
        if self._engine is None:
            self._engine = LocalEngine(RENDERING, None, workers=1, limits=Limits(SECONDS, BYTES))
        self._engine.submit(question)
        while True:
            for answer in self._engine.poll(SECONDS):
                if isinstance(answer, Casualty) and answer.task == question:
                    return Refusal(answer.code, answer.detail.strip().rpartition("\n")[2])
                if isinstance(answer, Answer) and answer.number == question.number:
                    return answer.value

    def _end(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None
