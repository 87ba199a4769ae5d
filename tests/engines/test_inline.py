"""Work in the same process: what it keeps of the contract, and that daemonic processes preprocess by it."""

import json
import multiprocessing
import os
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from dicomprep.engines.base import Limits
from dicomprep.engines.inline import InlineEngine
from dicomprep.engines.local import LocalEngine
from dicomprep.engines.select import count_workers, open_engine
from dicomprep.pipeline.result import ProgressListener
from dicomprep.pipeline.run import run
from dicomprep.workspace import Workspace
from tests import faulty
from tests.engines.contract import AnyEngine, EngineContract
from tests.running import Place, make_files


class TestInlineEngine(EngineContract):
    isolates_tasks = False

    def make(self, work: str, settings: object, *, workers: int, limits: Limits) -> AnyEngine:
        return InlineEngine(work, settings)

    def test_ctrl_c_within_a_task_is_no_failure_of_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(faulty, "faulty_work", interrupted)
        with self.engine() as engine:
            engine.submit("good-1")
            with pytest.raises(KeyboardInterrupt):
                engine.poll(0)


class Warnings(ProgressListener):
    def __init__(self) -> None:
        self.sentences: list[str] = []

    def on_warning(self, sentence: str) -> None:
        self.sentences.append(sentence)


def preprocess_as_daemon(place: Place, sender: Connection) -> None:
    """What a task of Celery would do; what came of it, and which processes it started."""
    warnings = Warnings()
    workspace = Workspace.create(place.db, place.output)
    result = run(workspace, place.config(workers=3), listener=warnings)
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    sender.send((dict(result.statuses), result.frames, warnings.sentences, children))


@pytest.mark.skipif(sys.platform != "linux", reason="it looks for children in /proc")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_daemonic_process_preprocesses_by_itself(tmp_path: Path, method: str) -> None:
    """As Celery's workers are, and those of a pool: where a process may have no children."""
    daemonic, usual = Place(tmp_path / "daemonic"), Place(tmp_path / "usual")
    for place in (daemonic, usual):
        make_files(place.source, "Ä s/One.dcm", "Ä s/cine.dcm:70", "t/Bad.dcm")
        bad = place.source / "t" / "Bad.dcm"
        bad.write_bytes(bad.read_bytes()[:-50])
    usual.run()

    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context(method).Process(
        target=preprocess_as_daemon, args=(daemonic, sender), daemon=True
    )
    process.start()
    sender.close()
    assert receiver.poll(60)
    statuses, frames, sentences, children = receiver.recv()
    process.join(60)

    assert (process.exitcode, statuses, frames, children) == (0, {"done": 2, "failed": 1}, 71, [])
    assert [sentence.partition(":")[0] for sentence in sentences] == [
        "This process is daemonic and cannot start workers"
    ]
    daemonic.check()
    assert daemonic.images() == usual.images()
    assert _recorded(daemonic) == _recorded(usual)


def _recorded(place: Place) -> list[Any]:
    columns = "filename, thumbnail_path, frame_number, modality, width, height"
    options = json.loads(place.rows("SELECT options FROM runs")[0])
    assert options["workers"] == (1 if "daemonic" in place.base.name else 2)
    return [*place.rows(f"SELECT {columns} FROM images ORDER BY filename"), *sorted(place.statuses().items())]


def test_the_engine_is_that_which_the_process_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    process = multiprocessing.current_process()
    for daemon, kind, workers in ((False, LocalEngine, 4), (True, InlineEngine, 1)):
        monkeypatch.setitem(process._config, "daemon", daemon)  # type: ignore[attr-defined]
        engine = open_engine(faulty.WORK, None, workers=4, limits=Limits(30, 2**28))
        engine.close()
        assert isinstance(engine, kind)
        assert count_workers(4) == workers
