"""One SLURM for all tests of clusters."""

from collections.abc import Iterator

import pytest

from dicomprep.engines.interrupts import keep_handlers
from tests.cluster.slurm import MISSING, Slurm, running_slurm
from tests.running import PROJECT


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """A SLURM of two nodes; the test is skipped where there can be none."""
    with keep_handlers():
        pytest.importorskip("dask_jobqueue", reason="the extra dask is not installed")
    if MISSING is not None:
        pytest.skip(MISSING)
    with running_slurm(tmp_path_factory.mktemp("slurm")) as slurm:
        yield slurm


@pytest.fixture
def in_slurm(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """Its commands work in this process and those that it starts."""
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    return slurm
