"""Dask clusters: one of this machine, one that runs already, or jobs that are begun for a run and end with it."""

import ipaddress
import logging
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dicomprep.engines.dask_settings import DASK_SETTINGS, NO_DASHBOARD, make_security
from dicomprep.engines.forkserver import launching
from dicomprep.engines.interrupts import keep_handlers
from dicomprep.engines.jobs import CLUSTER_CLASSES, is_loopback, job_arguments, last_line, telling
from dicomprep.engines.options import ClusterKind, EngineOptions, JobOptions
from dicomprep.errors import ConfigError, EnvironmentFault
from dicomprep.extras import load_extra

__all__ = ["Cluster", "open_cluster"]

CONNECT_SECONDS = 20

CAUTION = (
    "The Dask scheduler at {} does not encrypt: patient IDs travel to it in the clear, and whoever reaches it can run"
    " programs as its user. Start it with certificates (tls://)."
)


@dataclass(slots=True)
class Cluster:
    """A connection to a Dask cluster, and what is to be done at the end."""

    client: Any
    name: str
    """What a person calls it."""
    is_local: bool
    """Whether all of it is on this machine."""
    is_waited_for: bool
    """Whether workers may take long to come: jobs wait in a queue."""
    refusals: list[str] = field(default_factory=list)
    """Why jobs could not be submitted."""
    caution: str | None = None
    """What a person should know of it before work."""
    _stack: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """Give workers back that were started for it. May be called again."""
        self._stack.close()


def open_cluster(options: EngineOptions, jobs: JobOptions | None, *, workers: int) -> Cluster:
    """Connect to the cluster that the options name, or start it.

    Raises ConfigError where Dask is not installed, EnvironmentFault where the cluster cannot be reached or started.
    """
    distributed = load_extra("distributed", extra="dask", purpose="--engine dask")
    import dask

    with ExitStack() as stack, warnings.catch_warnings(action="ignore"), launching():
        stack.enter_context(dask.config.set(DASK_SETTINGS))  # to the end: a worker that was killed is started again
        stack.enter_context(_silenced())
        if options.scheduler is not None:
            cluster = _connect(distributed, options.scheduler, tls=options.tls)
        elif options.cluster is not None and jobs is not None:
            cluster = _start_jobs(distributed, options.cluster, jobs, tls=options.tls, stack=stack)
        else:
            cluster = _start_local(distributed, workers, tls=options.tls, stack=stack)
        stack.callback(_quietly, cluster.client.close)
        cluster._stack = stack.pop_all()
    return cluster


def _connect(distributed: Any, scheduler: str, *, tls: bool) -> Cluster:  # noqa: ANN401
    is_file = scheduler.endswith(".json")
    if is_file and not Path(scheduler).is_file():
        raise EnvironmentFault(f"There is no file {scheduler}: is the scheduler running that writes it?")
    if tls and scheduler.startswith("tcp://"):
        raise ConfigError(f"--tls: the scheduler at {scheduler} does not encrypt. Start it with certificates.")
    security = distributed.Security(require_encryption=True) if tls else None
    where = {"scheduler_file": scheduler} if is_file else {"address": scheduler}
    try:
        client = distributed.Client(**where, security=security, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise EnvironmentFault(f"The Dask scheduler at {scheduler} cannot be reached: {reason}.") from error
    address = client.scheduler.address
    caution = None if address.startswith("tls://") or _is_here(address) else CAUTION.format(address)
    return Cluster(client, f"Dask at {address}", is_local=False, is_waited_for=False, caution=caution)


def _is_here(address: str) -> bool:
    """Whether an address of a scheduler is one of this machine alone."""
    host = address.partition("://")[2].rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _start_local(distributed: Any, workers: int, *, tls: bool, stack: ExitStack) -> Cluster:  # noqa: ANN401
    with _explained("Dask cannot be started"):
        cluster = distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=workers,
            memory_limit=0,
            scheduler_kwargs=NO_DASHBOARD,
            silence_logs=logging.CRITICAL,
            security=make_security(distributed) if tls else None,
        )
        stack.callback(_quietly, cluster.close)
        client = distributed.Client(cluster, set_as_default=False)
        cluster.adapt(minimum=1, maximum=1, interval="5s")  # a worker that cannot be started again is replaced
    return Cluster(client, "Dask on this machine", is_local=True, is_waited_for=False)


def _start_jobs(
    distributed: Any,  # noqa: ANN401
    kind: ClusterKind,
    jobs: JobOptions,
    *,
    tls: bool,
    stack: ExitStack,
) -> Cluster:
    with keep_handlers():
        jobqueue = load_extra("dask_jobqueue", extra="dask", purpose=f"--cluster {kind}")
    start = getattr(jobqueue, CLUSTER_CLASSES[kind])
    submit = start.job_cls.submit_command.split()[0]
    if shutil.which(submit) is None:
        raise EnvironmentFault(f"--cluster {kind}: there is no command {submit} here. Run it where jobs are submitted.")
    secured, refusals, folder = tls or not is_loopback(jobs.interface), list[str](), str(Path.cwd())
    with _explained(f"The {kind} cluster cannot be started"):
        cluster = start(
            **job_arguments(kind, jobs),
            job_cls=telling(start.job_cls, refusals, folder),
            security=make_security(distributed) if secured else None,
            shared_temp_directory=folder,
            silence_logs=logging.CRITICAL,
            scheduler_options=NO_DASHBOARD,
        )
        stack.callback(_quietly, cluster.close)
        client = distributed.Client(cluster, set_as_default=False)
        least, most = jobs.jobs
        cluster.adapt(minimum_jobs=least, maximum_jobs=most, interval="2s")
    return Cluster(client, f"the {kind} cluster", is_local=False, is_waited_for=True, refusals=refusals)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Errors of starting a cluster as one sentence."""
    try:
        yield
    except (ConfigError, EnvironmentFault):
        raise
    except Exception as error:
        raise EnvironmentFault(f"{what}: {last_line(error)}.") from error


LOGGING = ("distributed", "tornado")


@contextmanager
def _silenced() -> Iterator[None]:
    """What Dask and its server log is for those who run Dask; what a person should know is said by this program."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in LOGGING]
    levels = {logging.getLogger(name): logging.getLogger(name).level for name in names}
    try:
        for logger in levels:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def _quietly(close: Callable[..., object]) -> None:
    """Close what may be gone already."""
    with suppress(Exception):
        close(timeout=10)
