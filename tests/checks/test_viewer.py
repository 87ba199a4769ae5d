"""The viewer answers what was asked, whatever became of the question before: with workers that are really killed."""

import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dicomprep import EnvironmentFault
from dicomprep.checks import viewer as viewing
from dicomprep.checks.viewer import FrameView, MeasureGrayLevels, ReadTags, Refusal, Viewer, ViewFrame
from dicomprep.storage.local_images import LocalImages
from tests.building import make_dicom
from tests.running import frames_of, wait_until


class EndlessImages(LocalImages):
    """A store whose disk does not answer."""

    def read(self, name: str, *, most: int | None = None) -> bytes:
        """Never."""
        while True:
            time.sleep(1)


@pytest.fixture
def viewer() -> Iterator[Viewer]:
    viewer = Viewer()
    yield viewer
    viewer.close()


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Files of different patients, of different sizes."""
    paths = [tmp_path / f"{n}.dcm" for n in range(6)]
    for number, path in enumerate(paths):
        make_dicom(path, frames_of(1, seed=number)[0][: 4 + number], patient_id=f"Patient{number}")
    return [str(path) for path in paths]


def rows_of(viewer: Viewer, path: str) -> int:
    view = viewer.ask(ViewFrame(path, 0))
    assert isinstance(view, FrameView), view
    return int(view.about["rows"])


def worker(viewer: Viewer) -> int:
    """The process that is at work, once there is one."""

    def at_work() -> list[object]:
        return [slot for slot in (viewer._engine and viewer._engine._slots) or [] if slot.jobs and slot.is_ready]

    assert wait_until(lambda: bool(at_work()), 30)
    return int(at_work()[0].process.pid)  # type: ignore[attr-defined]


def test_a_worker_that_could_not_be_started_leaves_nothing_for_the_next_question(
    viewer: Viewer, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomprep.engines.local.require_open_files", lambda *_: None)  # which would lift the limit
    assert rows_of(viewer, files[0]) == 4
    viewer.close()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for path in files[1:3]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())), hard))
        try:
            with pytest.raises(EnvironmentFault):
                viewer.ask(ViewFrame(path, 0))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [rows_of(viewer, path) for path in files] == [4, 5, 6, 7, 8, 9]


def test_a_question_that_was_interrupted_is_not_answered_to_the_next(viewer: Viewer, files: list[str]) -> None:
    assert rows_of(viewer, files[0]) == 4
    engine = viewer._engine
    assert engine is not None
    poll = engine.poll

    def interrupted(seconds: float) -> list[object]:
        poll(0)
        raise KeyboardInterrupt

    engine.poll = interrupted  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        viewer.ask(ViewFrame(files[1], 0))
    assert [rows_of(viewer, path) for path in files[2:]] == [6, 7, 8, 9]


def test_a_late_answer_is_nobodys(viewer: Viewer, files: list[str]) -> None:
    """One that comes of a question which nobody waits for any more."""
    assert rows_of(viewer, files[0]) == 4
    assert viewer._engine is not None
    viewer._engine.submit(ViewFrame(files[1], 0))
    assert [rows_of(viewer, path) for path in files[2:]] == [6, 7, 8, 9]


def test_a_killed_worker_spoils_its_own_question_only(viewer: Viewer, files: list[str]) -> None:
    assert rows_of(viewer, files[0]) == 4
    answers: list[object] = []
    asking = threading.Thread(
        target=lambda: answers.append(viewer.ask(MeasureGrayLevels(EndlessImages("/"), ("a.png",))))
    )
    for kill in range(2):
        if not kill:
            asking.start()
            assert wait_until(viewer._lock.locked, 30)
        pid = worker(viewer)
        os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda pid=pid: not alive(pid), 30)
    asking.join(120)
    assert [(type(answer), answer.code) for answer in answers] == [(Refusal, "worker_crashed")]
    assert [rows_of(viewer, path) for path in files[2:]] == [6, 7, 8, 9]


def test_a_question_without_end_times_out_and_the_next_is_answered(
    viewer: Viewer, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewing, "SECONDS", 1.0)
    refusal = viewer.ask(MeasureGrayLevels(EndlessImages("/"), ("a.png",)))
    assert (type(refusal), refusal.code) == (Refusal, "timeout")
    assert [rows_of(viewer, path) for path in files[2:]] == [6, 7, 8, 9]


def test_many_ask_at_once_and_each_gets_its_own(viewer: Viewer, files: list[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        asked = [files[n % len(files)] for n in range(48)]
        found = list(pool.map(lambda path: rows_of(viewer, path), asked))
    assert found == [4 + n % len(files) for n in range(48)]
    rows = viewer.ask(ReadTags(files[5], True))
    assert any("Patient5" in value for _, _, value in rows)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
