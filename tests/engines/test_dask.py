"""Workers of a Dask cluster on this machine: real ones, which really die."""

import json
import logging
import pickle
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dicomprep.cli.app import main
from dicomprep.engines.base import Limits
from dicomprep.errors import ConfigError, EnvironmentFault, ErrorCode
from tests import faulty
from tests.engines.contract import GOOD, AnyEngine, EngineContract, failures, feed, results
from tests.faults.figures import keep
from tests.running import Place, cli, make_files

pytest.importorskip("distributed", reason="the extra dask is not installed")

from dicomprep.engines import clusters
from dicomprep.engines.clusters import Cluster, open_cluster
from dicomprep.engines.dask import DaskEngine
from dicomprep.engines.dask_worker import WorkerSlots
from dicomprep.engines.options import EngineKind, EngineOptions

CLUSTERS: dict[int, Cluster] = {}
"""By the number of slots: tests share them, for each takes seconds to start."""


@pytest.fixture(scope="module", autouse=True)
def _clusters() -> Iterator[None]:
    yield
    while CLUSTERS:
        CLUSTERS.popitem()[1].close()


def shared_cluster(slots: int) -> Cluster:
    if slots not in CLUSTERS:
        CLUSTERS[slots] = open_cluster(EngineOptions(engine=EngineKind.DASK), None, workers=slots)
    return CLUSTERS[slots]


VIEWS = (
    "SELECT filename, study_id, split, modality, patient_key, width, height FROM images ORDER BY 1",
    "SELECT study_key, series_key, patient_key, split FROM tags ORDER BY 1, 2",
    "SELECT path, status, error_code, error_detail, frames, attempts FROM inputs ORDER BY 1",
)


def address(slots: int = 2) -> str:
    """Of a cluster that runs already, as `--scheduler` takes it."""
    return str(shared_cluster(slots).client.scheduler.address)


class TestDaskEngine(EngineContract):
    isolates_tasks = True

    def make(self, work: str, settings: object, *, workers: int, limits: Limits) -> AnyEngine:
        return DaskEngine(
            shared_cluster(workers), work, settings, limits=limits, probe=no_objection, tell=lambda _: None
        )


def no_objection() -> None:
    """A probe of a machine that sees everything."""


def objection() -> str:
    """A probe of one that does not."""
    return "does not see /data"


PROBES = count()


def later_objection() -> str | None:
    """A probe of a machine that loses what it saw while the first bundle is at work there."""
    return objection() if next(PROBES) else None


def test_what_fails_on_a_machine_that_lost_its_data_is_its_fault() -> None:
    """Not the end of the work for everyone: the others go on, where there are others."""
    told: list[str] = []
    limits = Limits(30, 2**28)
    with (
        closing(
            DaskEngine(shared_cluster(2), faulty.WORK, None, limits=limits, probe=later_objection, tell=told.append)
        ) as engine,
        pytest.raises(EnvironmentFault, match=r"^No worker .* does not see /data\.$"),
    ):
        list(feed(engine, ["disk-"]))
    assert told == [f"{socket.gethostname()} does not see /data. It gets no files of this run."]


def test_a_worker_that_cannot_do_the_work_is_named_before_any_file_is_blamed() -> None:
    told: list[str] = []
    limits = Limits(30, 2**28)
    with closing(
        DaskEngine(shared_cluster(2), faulty.WORK, None, limits=limits, probe=objection, tell=told.append)
    ) as engine:
        answers = []
        with pytest.raises(EnvironmentFault, match=rf"No worker .* {socket.gethostname()} does not see /data\.$"):
            answers = list(feed(engine, GOOD[:5]))
    assert answers == []
    assert told == [f"{socket.gethostname()} does not see /data. It gets no files of this run."]


def test_what_kills_its_worker_is_found_and_nobody_else_is_blamed(request: pytest.FixtureRequest) -> None:
    """The Dask worker itself dies, five times; its other bundles are done by the next one."""
    if not request.config.getoption("--thorough"):
        pytest.skip("takes a minute; --thorough")
    tasks = [*GOOD[:30], "fell-", *GOOD[30:60]]
    with TestDaskEngine().engine() as engine:
        answers = list(feed(engine, tasks, seconds=200))
    ((task, failure),) = failures(answers).items()
    assert (task, failure.code, failure.quarantined) == ("fell-", ErrorCode.WORKER_CRASHED, True)
    assert sorted(results(answers)) == sorted(GOOD[:60])


def test_a_thousand_files_of_which_twenty_are_killers(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """They crash, hang, or eat memory; no Dask worker is lost to them."""
    if not request.config.getoption("--thorough"):
        pytest.skip("takes a minute; --thorough")
    place, killers = Place(tmp_path), ("segfault", "hang", "memory", "abort", "kill")
    bad = [f"s{number * 13}/{killers[number % 5]}.dcm" for number in range(20)]
    make_files(place.source, *(f"s{number % 97}/{number}.dcm" for number in range(980)), *bad)
    before = shared_cluster(2).client.nthreads()
    place.run(work=faulty.PROCESS, scheduler=address(), timeout=3, max_memory=256)
    assert shared_cluster(2).client.nthreads() == before
    codes = {"hang": "timeout", "memory": "out_of_memory"}
    failed = {path: code for path, (status, code) in place.statuses().items() if status != "done"}
    assert failed == {path: codes.get(Path(path).stem, "worker_crashed") for path in bad}
    assert len(place.images()) == 980
    place.check()
    title = "Cluster: 1,000 files of which 20 crash, hang or exhaust memory"
    keep(title, done=980, named_with_the_right_code=len(bad), Dask_workers_lost=0)


def test_a_run_on_a_cluster_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    """Images, rows, splits, and what is recorded of a file that is bad; also of one whose frames are shared."""
    local, cluster = Place(tmp_path / "local"), Place(tmp_path / "cluster")
    make_files(local.source, "Ä s/One.dcm", "Ä s/cine.dcm:70", "t/Bad.dcm", "t/two.dcm")
    bad = local.source / "t" / "Bad.dcm"
    bad.write_bytes(bad.read_bytes()[:-50])
    for place in (local, cluster):
        place.base.mkdir(exist_ok=True)
        place.db.with_name("x.db.key").write_text(f"{bytes(range(32)).hex()}\n", encoding="ascii")
    local.run()
    result = cluster.run(dicom_dir=local.source, scheduler=address())
    assert (dict(result.statuses), result.frames) == ({"done": 3, "failed": 1}, 72)
    cluster.check()
    assert cluster.images() == local.images()
    for view in VIEWS:
        assert cluster.rows(view) == local.rows(view)
    assert cli(tmp_path, "status", "--db", cluster.db).stdout.count(f"finished on Dask ({address()}): 4 found") == 1
    assert "where" not in json.loads(local.rows("SELECT options FROM runs")[0])
    assert "on Dask" not in cli(tmp_path, "status", "--db", local.db).stdout


def test_the_key_does_not_travel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[WorkerSlots] = []
    begin = WorkerSlots.__init__

    def listen(self: WorkerSlots, *arguments: Any, **options: Any) -> None:
        told.append(self)
        begin(self, *arguments, **options)

    monkeypatch.setattr(WorkerSlots, "__init__", listen)
    place = Place(tmp_path)
    make_files(place.source, "a.dcm", "b.dcm")
    place.run(scheduler=address())
    key = bytes.fromhex(place.db.with_name("x.db.key").read_text(encoding="ascii"))
    (slots,) = told
    content = pickle.dumps(slots)
    assert str(place.output).encode() in content
    assert key not in content
    assert place.rows("SELECT count(DISTINCT patient_key) FROM images") == [2]


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--scheduler", "tcp://127.0.0.1:9"], 3, "cannot be reached"),
        (["--scheduler", "absent.json"], 3, "There is no file absent.json"),
        (["--scheduler", "head"], 2, "give tcp://HOST:PORT"),
        (["--scheduler", "tcp://127.0.0.1:9", "--tls"], 2, "does not encrypt"),
        (["--scheduler", "tcp://127.0.0.1:9", "--cluster", "slurm"], 2, "give one of them"),
        (["--cluster", "slurm"], 2, "what are its jobs?"),
        (["--tls"], 2, "--tls is for --engine dask"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    code: int,
    sentence: str,
) -> None:
    make_files(tmp_path / "in", "a.dcm")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 1)
    with pytest.raises(SystemExit) as ended:
        main(["preprocess", "in", *options])
    assert ended.value.code == code
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["distributed.scheduler", "tornado.application"])
def test_what_dask_logs_is_not_shown(name: str) -> None:
    """A connection that is reset as a cluster ends is no traceback for whoever runs it."""
    shared_cluster(2)
    assert not logging.getLogger(name).isEnabledFor(logging.CRITICAL)


def test_without_dask_it_is_said_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path)
    make_files(place.source, "a.dcm")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"^--engine dask needs distributed: pip install 'dicomprep\[dask\]'$"):
        place.run(engine="dask")
    assert not place.images()
