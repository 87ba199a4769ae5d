"""Dask clusters: one of this machine, one that runs already, or jobs that are begun for a run and end with it."""

import ipaddress
import logging
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dicomprep.engines.forkserver import launching
from dicomprep.engines.options import ClusterKind, EngineOptions, JobOptions
from dicomprep.errors import ConfigError, EnvironmentFault
from dicomprep.extras import load_extra

__all__ = ["Cluster", "open_cluster"]

CONNECT_SECONDS = 20

DEATH_SECONDS = 45
"""A worker that finds no scheduler for so long ends: the parent of its run is gone."""

LEAVE_SECONDS = 60
"""Before its walltime ends, a worker leaves by itself, so that nothing it does is lost."""

DASK_SETTINGS: dict[str, Any] = {
    "distributed.worker.daemon": False,  # daemons may have no children
    "distributed.scheduler.allowed-failures": 0,  # what is lost is told at once, and done again by our own rules
    "distributed.scheduler.worker-ttl": "60s",
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,  # a hundred samples a second of threads that wait
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.diagnostics.nvml": False,
}
"""Of a cluster that is started here: its workers hold no data, and nobody looks at them."""


NO_DASHBOARD = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
"""Of a scheduler: where it serves nothing, it opens a port all the same."""


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
    _stack: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """Give workers back that were started for it. May be called again."""
        self._stack.close()


def open_cluster(options: EngineOptions, jobs: JobOptions | None, *, workers: int) -> Cluster:
    """Connect to the cluster that the options name, or start it.

    Raises ConfigError where Dask is not installed, EnvironmentFault where the cluster cannot be reached or started.
    """
    distributed = load_extra("distributed", extra="dask", purpose="--engine dask")
    with ExitStack() as stack:
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
    return Cluster(client, f"Dask at {client.scheduler.address}", is_local=False, is_waited_for=False)


def _start_local(distributed: Any, workers: int, *, tls: bool, stack: ExitStack) -> Cluster:  # noqa: ANN401
    import dask

    with dask.config.set(DASK_SETTINGS), launching(), _explained("Dask cannot be started"):
        cluster = distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=workers,
            memory_limit=0,
            scheduler_kwargs=NO_DASHBOARD,
            silence_logs=logging.CRITICAL,
            security=_make_security(distributed) if tls else None,
        )
        stack.callback(_quietly, cluster.close)
        client = distributed.Client(cluster, set_as_default=False)
    return Cluster(client, "Dask on this machine", is_local=True, is_waited_for=False)


def _start_jobs(
    distributed: Any,  # noqa: ANN401
    kind: ClusterKind,
    jobs: JobOptions,
    *,
    tls: bool,
    stack: ExitStack,
) -> Cluster:
    import dask

    jobqueue = load_extra("dask_jobqueue", extra="dask", purpose=f"--cluster {kind}")
    submit = getattr(jobqueue, f"{_CLASSES[kind]}Job").submit_command.split()[0]
    if shutil.which(submit) is None:
        raise EnvironmentFault(f"--cluster {kind}: there is no command {submit} here. Run it where jobs are submitted.")
    secured = tls or not _is_loopback(jobs.interface)
    with dask.config.set(DASK_SETTINGS), launching(), _explained(f"The {kind} cluster cannot be started"):
        cluster = getattr(jobqueue, f"{_CLASSES[kind]}Cluster")(
            **_job_arguments(kind, jobs),
            security=_make_security(distributed) if secured else None,
            shared_temp_directory=str(Path.cwd()),
            silence_logs=logging.CRITICAL,
            scheduler_options=NO_DASHBOARD,
        )
        stack.callback(_quietly, cluster.close)
        client = distributed.Client(cluster, set_as_default=False)
        least, most = jobs.jobs
        cluster.adapt(minimum_jobs=least, maximum_jobs=most, interval="2s")
    return Cluster(client, f"{kind} with Dask", is_local=False, is_waited_for=True)


_CLASSES = {
    ClusterKind.SLURM: "SLURM",
    ClusterKind.PBS: "PBS",
    ClusterKind.SGE: "SGE",
    ClusterKind.LSF: "LSF",
    ClusterKind.HTCONDOR: "HTCondor",
}

_ACCOUNT_NAMES = {ClusterKind.SGE: "project", ClusterKind.LSF: "project"}
"""What the account is called, where not so."""


def _job_arguments(kind: ClusterKind, jobs: JobOptions) -> dict[str, Any]:
    """What dask-jobqueue is told; what a kind of cluster does not have is left out where it was not given."""
    arguments = {
        "cores": jobs.cores,
        "memory": jobs.memory,
        "processes": 1,
        "walltime": jobs.walltime,
        "queue": jobs.queue,
        _ACCOUNT_NAMES.get(kind, "account"): jobs.account,
        "resource_spec": jobs.resources,
        "disk": jobs.disk,
        "job_extra_directives": _directives(kind, jobs.directives),
        "job_script_prologue": [*jobs.setup, *_exported_settings()],
        "python": jobs.python,
        "interface": jobs.interface,
        "log_directory": jobs.logs,
        "death_timeout": DEATH_SECONDS,
        "worker_extra_args": ["--no-dashboard", *_lifetime(jobs)],
    }
    return {name: value for name, value in arguments.items() if value is not None}


def _directives(kind: ClusterKind, lines: tuple[str, ...]) -> Any:  # noqa: ANN401
    if kind is not ClusterKind.HTCONDOR:
        return list(lines)
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _lifetime(jobs: JobOptions) -> list[str]:
    """A worker leaves before the cluster kills it."""
    seconds = jobs.walltime_seconds
    if seconds is None:
        return []
    return ["--lifetime", f"{max(seconds - LEAVE_SECONDS, seconds // 2)}s", "--lifetime-stagger", f"{seconds // 20}s"]


def _exported_settings() -> Iterator[str]:
    """The settings as lines of a shell; those of the scheduler do no harm."""
    for name, value in DASK_SETTINGS.items():
        variable = name.upper().replace(".", "__").replace("-", "_")
        yield f"export DASK_{variable}='{value}'"


def _is_loopback(interface: str | None) -> bool:
    if interface is None:
        return False
    from distributed.utils import get_ip_interface

    try:
        address = get_ip_interface(interface)  # type: ignore[no-untyped-call]
    except ValueError as error:
        raise ConfigError(f"[cluster] interface: {interface} is none of this machine.") from error
    return ipaddress.ip_address(address).is_loopback


def _make_security(distributed: Any) -> Any:  # noqa: ANN401
    """A certificate for this run, which its workers and nobody else have."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=dicomprep"
    try:
        made = subprocess.run(  # noqa: S603
            [*command.split(), "-keyout", "-", "-out", "-"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise EnvironmentFault("The Dask cluster cannot be encrypted: install the command openssl.") from error
    key, mark, certificate = made.stdout.partition("-----BEGIN CERTIFICATE-----")
    certificate = mark + certificate
    roles = {f"tls_{role}_{what}": text for role in _ROLES for what, text in (("cert", certificate), ("key", key))}
    return distributed.Security(require_encryption=True, tls_ca_file=certificate, **roles)


_ROLES = ("client", "scheduler", "worker")


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Whatever goes wrong when a cluster is started is said in a sentence."""
    try:
        yield
    except (ConfigError, EnvironmentFault):
        raise
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise EnvironmentFault(f"{what}: {lines[-1] if lines else type(error).__name__}.") from error


@contextmanager
def _silenced() -> Iterator[None]:
    """What Dask logs is for those who run Dask; what a person should know is said by this program."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _quietly(close: Callable[..., object]) -> None:
    """Close what may be gone already."""
    with suppress(Exception):
        close(timeout=10)
