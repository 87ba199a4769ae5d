"""Workers of a Dask cluster on this machine: real ones, which really die."""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dicomprep.engines.base import Limits
from tests.engines.contract import AnyEngine, EngineContract
from tests.running import Place, cli, make_files

pytest.importorskip("distributed", reason="the extra dask is not installed")

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
