"""Workers are real processes that really die."""

import os
import signal
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dicomprep.engines import local
from dicomprep.engines.base import Limits
from dicomprep.engines.local import LocalEngine
from dicomprep.errors import ErrorCode
from tests import faulty
from tests.engines.contract import GOOD, MEGABYTE, AnyEngine, EngineContract, failures, feed, results
from tests.running import PROJECT, call, is_alive, make_files, started

CULPRITS = {
    "segfault": (ErrorCode.WORKER_CRASHED, "SIGSEGV"),
    "abort": (ErrorCode.WORKER_CRASHED, "SIGABRT"),
    "exit": (ErrorCode.WORKER_CRASHED, "exit code 3"),
    "kill": (ErrorCode.WORKER_CRASHED, "SIGKILL, often because the system is out of memory"),
    "hang": (ErrorCode.TIMEOUT, "no frame finished within 2 s"),
    "hangc": (ErrorCode.TIMEOUT, "no frame finished within 2 s"),
    "memory": (ErrorCode.OUT_OF_MEMORY, "memory limit per file"),
    "raise": (ErrorCode.INTERNAL, "RuntimeError at faulty.py"),
    "leave": (ErrorCode.INTERNAL, "SystemExit"),
}


class TestLocalEngine(EngineContract):
    isolates_tasks = True

    def make(self, work: str, settings: object, *, workers: int, limits: Limits) -> AnyEngine:
        return LocalEngine(work, settings, workers=workers, limits=limits)


@contextmanager
def make_engine(
    settings: object = None, *, workers: int = 2, seconds: float = 30, megabytes: int = 256
) -> Iterator[LocalEngine]:
    with TestLocalEngine().engine(settings, workers=workers, seconds=seconds, megabytes=megabytes) as engine:
        assert isinstance(engine, LocalEngine)
        yield engine


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what is shown in seconds is shown sooner."""
    monkeypatch.setattr(local, "GRACE_SECONDS", 1.5)
    monkeypatch.setattr(local, "STOP_SECONDS", 1.5)


def worker_pids(engine: LocalEngine) -> list[int]:
    return [slot.process.pid for slot in engine._slots]


HANGING = ("hang", "hangc")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("names", "seconds"), [(HANGING, 2), (CULPRITS.keys() - set(HANGING), 60)])
def test_culprits_are_named_and_every_good_task_is_answered_once(
    names: Iterable[str], seconds: float, workers: int
) -> None:
    """Those that hang apart: on a busy machine others take their time, too."""
    culprits, tasks = {name: culprit for name, culprit in CULPRITS.items() if name in names}, list(GOOD)
    for place, culprit in enumerate(culprits):
        tasks.insert(place * 11, f"{culprit}-")
    with make_engine(workers=workers, seconds=seconds) as engine:
        answers = list(feed(engine, tasks))
    failed = {task.rstrip("-"): failure for task, failure in failures(answers).items()}
    assert Counter(results(answers)) == Counter(GOOD)
    assert len(answers) == len(tasks)
    assert {name: failure.code for name, failure in failed.items()} == {n: code for n, (code, _) in culprits.items()}
    for name, (code, detail) in culprits.items():
        assert detail in failed[name].detail
        assert failed[name].quarantined == (code is ErrorCode.WORKER_CRASHED)


def test_a_bug_of_ours_keeps_its_traceback() -> None:
    with make_engine() as engine:
        (failure,) = failures(feed(engine, ["raise-"])).values()
    assert failure.detail.startswith("Traceback (its messages are left out")
    assert "faulty.py" in failure.detail


def test_what_crashes_only_once_succeeds(tmp_path: Path) -> None:
    tasks = ["good-1", "once-1", "good-2", "once-2", "good-3"]
    with make_engine(str(tmp_path)) as engine:
        assert sorted(results(feed(engine, tasks))) == sorted(tasks)
    assert {mark.name for mark in tmp_path.iterdir()} == {"once-1", "once-2"}


def test_tasks_behind_a_killer_are_not_tried_as_suspects() -> None:
    """Only the task at work is blamed; heavy and light ones behind it are done by others."""
    with make_engine(workers=1) as engine:
        answers = list(feed(engine, ["segfault-", *GOOD[:20]], input_bytes=MEGABYTE))
    assert Counter(results(answers)) == Counter(GOOD[:20])
    assert list(failures(answers)) == ["segfault-"]


@pytest.mark.usefixtures("short_grace")
def test_a_heartbeat_extends_a_task_and_deafness_to_alarms_does_not() -> None:
    """Both go on for longer than their limit and the parent's grace together."""
    with make_engine(seconds=1) as engine:
        answers = list(feed(engine, ["beats-3.5", "deaf-"]))
    ((task, failure),) = failures(answers).items()
    assert results(answers) == ["beats-3.5"]
    assert (task, failure.code, failure.quarantined) == ("deaf-", ErrorCode.TIMEOUT, False)


@pytest.mark.parametrize("first", ["raise-", "memory-", "hoard-200-"])
def test_what_waits_behind_a_worker_that_retires_is_done_by_another(first: str) -> None:
    with make_engine(workers=1) as engine:
        answers = list(feed(engine, [first, *GOOD[:20]]))
    assert Counter(result for result in results(answers) if result in GOOD) == Counter(GOOD[:20])
    assert len(answers) == 21


@pytest.mark.parametrize(("task", "code"), [("large-160-", ErrorCode.OUT_OF_MEMORY), ("function-", ErrorCode.INTERNAL)])
def test_a_result_that_cannot_be_sent_is_a_failure_of_its_task_and_no_crash(task: str, code: ErrorCode) -> None:
    """One is too large to be copied within the limit, the other is of no kind that can be sent."""
    with make_engine(workers=1) as engine:
        answers = list(feed(engine, ["good-1", task, "good-2"]))
    assert {name: (failure.code, failure.quarantined) for name, failure in failures(answers).items()} == {
        task: (code, False)
    }
    assert results(answers) == ["good-1", "good-2"]


def test_a_worker_that_has_grown_retires() -> None:
    tasks = [f"hoard-90-{number}" for number in range(8)]
    with make_engine(workers=1) as engine:
        assert sorted(results(feed(engine, tasks))) == tasks


def test_many_killers_do_not_multiply_workers() -> None:
    most = 0
    with make_engine(workers=2) as engine:
        for _ in feed(engine, [task for n in range(6) for task in (f"segfault-{n}", f"good-{n}")]):
            most = max(most, sum(map(is_alive, worker_pids(engine))))
    assert most == 2


def test_idle_workers_that_are_killed_are_replaced() -> None:
    with make_engine() as engine:
        assert sorted(results(feed(engine, GOOD))) == sorted(GOOD)
        for pid in worker_pids(engine):
            os.kill(pid, signal.SIGKILL)
        assert sorted(results(feed(engine, GOOD))) == sorted(GOOD)


def test_a_worker_killed_while_it_answers_is_a_crash_like_another() -> None:
    with make_engine(workers=1) as engine:
        engine.submit("torn-")
        engine.submit("good-1")
        engine.poll(0)
        time.sleep(1.5)
        answers = list(feed(engine, []))
    assert "good-1" in results(answers)
    assert all(failure.code is ErrorCode.WORKER_CRASHED for failure in failures(answers).values())


@pytest.mark.parametrize(
    "task",
    [
        pytest.param("nap-0.3-", id="finishes what it is at"),
        pytest.param("sleep-", id="is killed after a grace"),
        pytest.param("beats-600", id="is killed although it is alive"),
    ],
)
@pytest.mark.usefixtures("short_grace")
def test_stop_drops_the_rest_and_ends(task: str) -> None:
    with make_engine(seconds=600) as engine:
        for number in range(10):
            engine.submit(f"{task}{number}" if task.endswith("-") else f"{task}.{number}")
        engine.poll(0.5)
        engine.stop()
        answers = []
        end = time.monotonic() + 60
        while not engine.idle:
            assert time.monotonic() < end, "the engine hangs"
            answers += engine.poll(0.1)
            engine.stop()  # called again, it grants no more time
        assert len(answers) <= 2
        assert failures(answers) == {}


def test_close_leaves_no_process() -> None:
    with make_engine() as engine:
        for task in ("sleep-", "hangc-", "sleep-"):
            engine.submit(task)
        engine.poll(0.5)
        pids = worker_pids(engine)
        assert len(pids) == 2
    assert not any(map(is_alive, pids))


def test_workers_do_not_run_the_callers_script_again(tmp_path: Path) -> None:
    make_files(tmp_path / "in", "a.dcm", "b.dcm")
    script = tmp_path / "unguarded.py"
    script.write_text("import dicomprep\nprint('once')\nprint(dicomprep.preprocess('in', workers=2).frames)\n")
    done = call([sys.executable, str(script)], tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == ("once\n2\n", "", 0)


ORPHAN_MAKER = """
    import time
    from dicomprep.engines.base import Limits
    from dicomprep.engines.local import LocalEngine
    from tests import faulty
    engine = LocalEngine(faulty.WORK, None, workers=2, limits=Limits(100, 2**28))
    engine.submit("good-1")
    while not engine.idle:
        engine.poll(0.2)
    for task in {tasks}:
        engine.submit(task)
    engine.poll(0.5)
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("tasks", [[], ["hang-", "sleep-"], ["hangc-"]], ids=["idle", "busy", "busy in C with the GIL"])
def test_workers_leave_when_their_parent_is_killed(tasks: list[str]) -> None:
    script = textwrap.dedent(ORPHAN_MAKER).format(tasks=tasks)
    with started([sys.executable, "-c", script], PROJECT) as parent:
        assert parent.process.stdout.readline() == "ready\n"
        assert len(parent.members()) >= 2
        os.kill(parent.process.pid, signal.SIGKILL)
        assert parent.none_left(5), parent.members()


def test_workers_end_with_a_process_that_did_not_close() -> None:
    script = f"""
from dicomprep.engines.base import Limits
from dicomprep.engines.local import LocalEngine
engine = LocalEngine({faulty.WORK!r}, ".", workers=1, limits=Limits(600, 2**31))
engine.submit("nap-600")
engine.poll(0.2)
"""
    assert call([sys.executable, "-c", script], PROJECT, timeout=30).returncode == 0
