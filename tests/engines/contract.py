"""What every engine keeps: a class of tests that the test class of each inherits."""

import signal
import sys
import textwrap
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from dicomprep.engines.base import Answer, Engine, Limits, TaskFailure
from dicomprep.errors import EnvironmentFault, ErrorCode
from tests import faulty
from tests.running import PROJECT, call

MEGABYTE = 2**20
GOOD = [f"good-{number}" for number in range(100)]

AnyEngine = Engine[str, Any]
AnyAnswer = Answer[str, Any]


def feed(engine: AnyEngine, tasks: Iterable[str], *, input_bytes: int = 0, seconds: float = 40) -> Iterator[AnyAnswer]:
    """Submit tasks as the engine wants them; the answers as they come."""
    waiting = deque(tasks)
    end = time.monotonic() + seconds
    while waiting or not engine.idle:
        while waiting and engine.wants_more:
            engine.submit(waiting.popleft(), input_bytes)
        yield from engine.poll(0.1)
        assert time.monotonic() < end, "the engine hangs"


def failures(answers: Iterable[AnyAnswer]) -> dict[str, TaskFailure]:
    """Those of tasks that gave no result, by the task."""
    return {answer.task: answer.result for answer in answers if isinstance(answer.result, TaskFailure)}


def results(answers: Iterable[AnyAnswer]) -> list[Any]:
    """Those that are none of these, each held against its task where that is its answer."""
    good = [answer for answer in answers if not isinstance(answer.result, TaskFailure)]
    assert all(answer.task == answer.result for answer in good if isinstance(answer.result, str))
    return [answer.result for answer in good]


class EngineContract(ABC):
    """`make` gives the engine that is tested."""

    isolates_tasks: bool
    """What the engine says of itself, and the tests of crash, hang and memory prove."""

    @abstractmethod
    def make(self, work: str, settings: object, *, workers: int, limits: Limits) -> AnyEngine:
        """The engine."""

    @contextmanager
    def engine(
        self,
        settings: object = None,
        *,
        work: str = faulty.WORK,
        workers: int = 2,
        seconds: float = 30,
        megabytes: int = 256,
    ) -> Iterator[AnyEngine]:
        """The engine, closed at the end."""
        limits = Limits(seconds, megabytes * MEGABYTE)
        with closing(self.make(work, settings, workers=workers, limits=limits)) as engine:
            yield engine

    def test_it_says_whether_it_isolates_tasks(self) -> None:
        with self.engine() as engine:
            assert engine.isolates_tasks == self.isolates_tasks

    def test_every_task_is_answered_once_and_with_itself(self) -> None:
        """Also among tasks that are equal: an answer's task is the very object, whenever it comes."""
        tasks = ["-".join(["nap", seconds, "x"]) for seconds in ("0.2", "0", "0", "0.1", "0", "0.2", "0", "0")]
        with self.engine() as engine:
            answers = list(feed(engine, tasks))
        assert Counter(id(answer.task) for answer in answers) == Counter(map(id, tasks))
        assert Counter(results(answers)) == Counter(tasks)

    def test_one_worker_answers_in_order(self) -> None:
        with self.engine(workers=1) as engine:
            assert results(feed(engine, GOOD)) == GOOD

    @pytest.mark.parametrize(
        ("task", "code", "detail"),
        [
            ("raise-", ErrorCode.INTERNAL, "RuntimeError at faulty.py"),
            ("leave-", ErrorCode.INTERNAL, "SystemExit"),
            ("starve-", ErrorCode.OUT_OF_MEMORY, "memory limit per file"),
        ],
    )
    def test_an_exception_is_a_failure_of_its_task_alone(self, task: str, code: ErrorCode, detail: str) -> None:
        with self.engine() as engine:
            answers = list(feed(engine, [*GOOD[:5], task, *GOOD[5:10]]))
        ((failed, failure),) = failures(answers).items()
        assert (failed, failure.code, failure.quarantined) == (task, code, False)
        assert detail in failure.detail
        assert "a bug of ours" not in failure.detail  # a message may quote what a file holds
        assert sorted(results(answers)) == sorted(GOOD[:10])

    def test_large_answers_arrive_whole(self) -> None:
        tasks = ["large-48-", "good-1", "large-9-", "large-48-"]
        with self.engine() as engine:
            found = {id(answer.task): answer.result for answer in feed(engine, tasks)}
        large = {task: bytes([len(size)]) * (int(size) * MEGABYTE) for task in tasks for size in [task.split("-")[1]]}
        assert all(found[id(task)] == large[task] for task in tasks if task.startswith("large"))

    def test_a_fault_of_the_surroundings_ends_everything(self) -> None:
        with self.engine() as engine, pytest.raises(EnvironmentFault, match=r"^no space left$"):
            list(feed(engine, [*GOOD[:3], "disk-", *GOOD]))

    @pytest.mark.parametrize("work", [f"{faulty.__name__}:absent", "tests.absent:work"])
    def test_a_start_that_fails_says_why_and_is_no_fault_of_a_task(self, work: str) -> None:
        with self.engine(work=work) as engine, pytest.raises(EnvironmentFault, match=r"cannot be loaded .*absent"):
            list(feed(engine, GOOD[:3]))
        with self.engine() as engine:
            assert sorted(results(feed(engine, GOOD[:3]))) == GOOD[:3]

    def test_stop_drops_what_waits(self) -> None:
        with self.engine(workers=1) as engine:
            for number in range(10):
                engine.submit(f"nap-0.3-{number}")
            answers = engine.poll(0.1)
            engine.stop()
            assert not engine.wants_more
            end = time.monotonic() + 20
            while not engine.idle:
                answers += engine.poll(0.1)
                engine.stop()  # said again, it changes nothing
                assert time.monotonic() < end, "the engine hangs"
        assert len(answers) < 10
        assert failures(answers) == {}

    def test_close_may_be_called_again(self) -> None:
        with self.engine() as engine:
            list(feed(engine, GOOD[:2]))
            engine.submit("good-3")
            engine.close()

    def test_a_hang_is_ended_where_tasks_are_isolated(self) -> None:
        with self.engine(seconds=0.3) as engine:
            answers = list(feed(engine, ["nap-1", "good-1"]))
        ended = {"nap-1": TaskFailure(ErrorCode.TIMEOUT, "no frame finished within 0.3 s")}
        assert failures(answers) == (ended if self.isolates_tasks else {})
        assert "good-1" in results(answers)

    def test_memory_is_bounded_where_tasks_are_isolated(self) -> None:
        with self.engine(megabytes=64) as engine:
            answers = list(feed(engine, ["take-256", "good-1"]))
        codes = {task: failure.code for task, failure in failures(answers).items()}
        assert codes == ({"take-256": ErrorCode.OUT_OF_MEMORY} if self.isolates_tasks else {})
        assert "good-1" in results(answers)

    def test_a_crash_ends_its_task_or_this_process(self) -> None:
        script = textwrap.dedent(f"""
            from {type(self).__module__} import {type(self).__name__}
            from tests.engines.contract import failures, feed, results
            with {type(self).__name__}().engine() as engine:
                answers = list(feed(engine, ["segfault-", "good-1"]))
                print(results(answers), [failure.code.value for failure in failures(answers).values()])
        """)
        done = call([sys.executable, "-c", script], PROJECT)
        if self.isolates_tasks:
            assert (done.returncode, done.stdout) == (0, "['good-1'] ['worker_crashed']\n"), done.stderr
        else:
            assert (done.returncode, done.stdout) == (-signal.SIGSEGV, "")
