"""What runs in a Dask worker: one LocalEngine whose processes do the files. Dask's own process opens none of them.

Bundles are run by Dask's threads, and all of them hand their tasks to the one thread that drives the engine.
"""

import pickle
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from distributed import Worker, WorkerPlugin, get_worker

from dicomprep.engines.base import Limits, TaskFailure
from dicomprep.engines.driver import Driver
from dicomprep.engines.forkserver import may_start_processes
from dicomprep.engines.local import LocalEngine
from dicomprep.version import VERSION

__all__ = ["Probe", "Report", "WorkerSlots", "run_bundle", "stop_bundles"]

Probe = Callable[[], str | None]
"""Says in a sentence why this machine cannot do the work, or None. Asked before and after each bundle."""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a bundle on a worker."""

    address: str
    host: str
    results: tuple[tuple[int, bytes | TaskFailure], ...] = ()
    """Of the tasks that were finished, pickled, by their places in the bundle; the others are to be done again."""
    seconds: float = 0.0
    unfit: str | None = None
    """Why this worker cannot do the work at all; nothing of the bundle counts."""
    fault: str | None = None
    """What ended the work for everyone, as EnvironmentFault says it."""


class WorkerSlots(WorkerPlugin):
    """The slots of a Dask worker: as many processes as it has threads. It goes to each worker, now or later."""

    def __init__(self, run: str, work: str, settings: object, *, limits: Limits, probe: Probe) -> None:
        self.name, self._version = run, VERSION
        self._work, self._settings, self._limits, self._probe = work, settings, limits, probe
        self._driver: Driver | None = None

    def setup(self, worker: Worker) -> None:
        """Begin to load what the work needs."""
        if may_start_processes():
            self._driver = Driver(partial(self._make_engine, worker.state.nthreads))

    def _make_engine(self, slots: int) -> LocalEngine:
        """What is in tasks and results is nothing that this process needs to know."""
        return LocalEngine(self._work, self._settings, workers=slots, limits=self._limits, packed=True)

    def teardown(self, worker: Worker) -> None:
        """End all processes."""
        if self._driver is not None:
            self._driver.close()

    def stop(self) -> None:
        """Let what is at work be finished, for some seconds; nothing else is begun any more."""
        if self._driver is not None:
            self._driver.stop()

    def run(self, content: bytes, *, address: str, alone: bool) -> Report:
        """Do the tasks of a bundle; `alone` while no other is at work here."""
        host = socket.gethostname()
        unfit = self._explain_unfit()
        if unfit is not None or self._driver is None:
            return Report(address, host, unfit=unfit)
        done = self._driver.do(pickle.loads(content), alone=alone)  # noqa: S301  (from the parent of this run)
        unfit = self._probe()  # what failed since the files went away says nothing of them
        return Report(address, host, tuple(done.results), done.seconds, unfit, done.fault)

    def _explain_unfit(self) -> str | None:
        if self._version != VERSION:
            return f"has dicomprep {VERSION}, and this is {self._version}: install the same there"
        if self._driver is None:
            return "may not start processes: start its workers with DASK_DISTRIBUTED__WORKER__DAEMON=False"
        return self._probe()


def run_bundle(run: str, content: bytes, *, alone: bool) -> bytes:
    """Do a bundle in the slots of this Dask worker: a pickled Report, which nobody on the way has to understand."""
    worker = get_worker()
    plugin = worker.plugins.get(run)
    if isinstance(plugin, WorkerSlots):
        report = plugin.run(content, address=worker.address, alone=alone)
    else:
        why = "could not load what the run needs: has it the same dicomprep?"
        report = Report(worker.address, socket.gethostname(), unfit=why)
    return pickle.dumps(report)


def stop_bundles(run: str, dask_worker: Worker) -> None:
    """Called on every worker when the run is to stop."""
    plugin = dask_worker.plugins.get(run)
    if isinstance(plugin, WorkerSlots):
        plugin.stop()
