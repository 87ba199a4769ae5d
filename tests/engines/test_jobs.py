"""What each kind of cluster is told of a job, as dask-jobqueue writes it into the job's script."""

import importlib
import signal
import sys

import pytest

from dicomprep.engines.interrupts import keep_handlers
from dicomprep.engines.jobs import CLUSTER_CLASSES, job_arguments
from dicomprep.engines.options import ClusterKind, JobOptions, walltime_seconds
from dicomprep.errors import ConfigError

with keep_handlers():
    dask_jobqueue = pytest.importorskip("dask_jobqueue", reason="the extra dask is not installed")

TABLE = {
    "jobs": [0, 4],
    "cores": 8,
    "memory": "16 GB",
    "walltime": "02:30:00",
    "queue": "normal",
    "account": "imaging",
    "directives": ["--gres=x"],
    "setup": ["module load python"],
    "python": "/lab/python",
}
TABLE_OF_HTCONDOR = {
    **{name: value for name, value in TABLE.items() if name not in ("queue", "account")},
    "disk": "1 GB",
    "directives": ["concurrency_limits = sw"],
}
EXPECTED = {
    ClusterKind.SLURM: ["#SBATCH -p normal", "#SBATCH -A imaging", "#SBATCH -t 02:30:00", "#SBATCH --gres=x"],
    ClusterKind.PBS: ["#PBS -q normal", "#PBS -A imaging", "walltime=02:30:00", "#PBS --gres=x"],
    ClusterKind.SGE: ["#$ -q normal", "#$ -P imaging", "h_rt=02:30:00", "#$ --gres=x"],
    ClusterKind.LSF: ["#BSUB -q normal", '#BSUB -P "imaging"', "#BSUB -W 2:30", "#BSUB --gres=x"],
    ClusterKind.HTCONDOR: ["RequestCpus = MY.DaskWorkerCores", "concurrency_limits = sw"],
}


@pytest.mark.parametrize("kind", ClusterKind)
def test_the_script_of_a_job_says_what_the_table_says(kind: ClusterKind) -> None:
    table = TABLE_OF_HTCONDOR if kind is ClusterKind.HTCONDOR else TABLE
    job = getattr(dask_jobqueue, CLUSTER_CLASSES[kind]).job_cls
    script = job("tcp://head:1", name="w", **job_arguments(kind, JobOptions.of(table))).job_script()
    for line in EXPECTED[kind]:
        assert line in script
    for part in (
        "module load python",
        "/lab/python -m distributed.cli.dask_worker",
        "--nthreads 8",
        "--lifetime 8490s",
    ):
        assert part in script
    assert "DASK_DISTRIBUTED__WORKER__DAEMON" in script


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        (ClusterKind.SLURM, TABLE | {"disk": "1 GB"}),
        (ClusterKind.HTCONDOR, TABLE),
        (ClusterKind.LSF, TABLE | {"resources": "x"}),
    ],
)
def test_what_a_kind_of_cluster_does_not_have_is_said(kind: ClusterKind, table: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=rf"^\[cluster\] (disk|queue|resources): {kind} has none"):
        job_arguments(kind, JobOptions.of(table))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"core": 4}, "core is unknown"),
        ({"cores": "4"}, "'4' is not a whole number"),
        ({"memory": ""}, "memory: say what a job gets"),
        ({"memory": "16"}, "memory: say what a job gets"),
        ({"jobs": [4, 2]}, "jobs: give a number"),
        ({"walltime": "2 hours"}, "walltime: give"),
        ({"queue": 7}, "7 is not a text"),
    ],
)
def test_a_table_that_cannot_be_is_refused(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=r"^\[cluster\] ") as refused:
        JobOptions.of(TABLE | change)
    assert sentence in str(refused.value)


def test_walltimes() -> None:
    assert [walltime_seconds(text) for text in ("00:01:00", "2:30", "1-00:00:00", "soon", None)] == [
        60,
        9000,
        86400,
        None,
        None,
    ]


def test_a_library_that_handles_signals_as_it_is_loaded_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """dask_jobqueue ends the process by SystemExit at Ctrl-C; a run would not be asked to stop any more."""
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.delitem(sys.modules, "dask_jobqueue.runner", raising=False)
    with keep_handlers():
        importlib.import_module("dask_jobqueue.runner")
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
