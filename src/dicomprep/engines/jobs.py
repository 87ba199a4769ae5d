"""Jobs of SLURM, PBS, SGE, LSF and HTCondor, as dask-jobqueue is told of them."""

import ipaddress
import shlex
import sys
from typing import Any

from dicomprep.engines.dask_settings import exported_settings
from dicomprep.engines.options import ClusterKind, JobOptions, walltime_seconds
from dicomprep.errors import ConfigError

__all__ = ["CLUSTER_CLASSES", "is_loopback", "job_arguments", "last_line", "telling"]

DEATH_SECONDS = 45
"""A worker that finds no scheduler for so long ends: the parent of its run is gone."""

LEAVE_SECONDS = 60
"""Before its walltime ends, a worker leaves by itself, so that nothing it does is lost."""

CLUSTER_CLASSES = {
    ClusterKind.SLURM: "SLURMCluster",
    ClusterKind.PBS: "PBSCluster",
    ClusterKind.SGE: "SGECluster",
    ClusterKind.LSF: "LSFCluster",
    ClusterKind.HTCONDOR: "HTCondorCluster",
}
"""Of dask-jobqueue."""

_ACCOUNT_NAMES = {ClusterKind.SGE: "project", ClusterKind.LSF: "project"}
"""What the account is called, where not so."""


_OWN_NAMES = {
    "disk": (ClusterKind.HTCONDOR,),
    "resources": (ClusterKind.PBS, ClusterKind.SGE),
    **dict.fromkeys(("queue", "account"), tuple(kind for kind in ClusterKind if kind is not ClusterKind.HTCONDOR)),
}
"""What only some kinds of cluster have."""


def job_arguments(kind: ClusterKind, jobs: JobOptions) -> dict[str, Any]:
    """What dask-jobqueue is told. Raises ConfigError where the table says what this kind of cluster does not have."""
    for name, kinds in _OWN_NAMES.items():
        if getattr(jobs, name) is not None and kind not in kinds:
            raise ConfigError(f"[cluster] {name}: {kind} has none; use `directives` for what else a job is to have.")
    if kind is ClusterKind.HTCONDOR and jobs.disk is None:
        raise ConfigError('[cluster] disk: HTCondor wants to know, such as "2 GB".')
    arguments = {
        "cores": jobs.cores,
        "memory": jobs.memory,
        "processes": 1,
        "walltime": _walltime(kind, jobs),
        "queue": jobs.queue,
        _ACCOUNT_NAMES.get(kind, "account"): jobs.account,
        "resource_spec": jobs.resources,
        "disk": jobs.disk,
        "job_extra_directives": _directives(kind, jobs.directives),
        "job_script_prologue": [*jobs.setup, *exported_settings()],
        "python": shlex.quote(jobs.python or sys.executable),
        "interface": jobs.interface,
        "log_directory": jobs.logs,
        "death_timeout": DEATH_SECONDS,
        "worker_extra_args": ["--no-dashboard", *_lifetime(kind, jobs)],
    }
    return {name: value for name, value in arguments.items() if value is not None}


def _directives(kind: ClusterKind, lines: tuple[str, ...]) -> Any:  # noqa: ANN401
    if kind is not ClusterKind.HTCONDOR:
        return list(lines)
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _walltime(kind: ClusterKind, jobs: JobOptions) -> str | None:
    """As the kind of cluster takes it: LSF has no seconds, HTCondor no walltime, so that workers just leave by then."""
    if kind is ClusterKind.HTCONDOR:
        return None
    seconds = walltime_seconds(jobs.walltime)
    if kind is ClusterKind.LSF and seconds is not None:
        return f"{seconds // 3600}:{seconds // 60 % 60:02}"
    return jobs.walltime


def _lifetime(kind: ClusterKind, jobs: JobOptions) -> list[str]:
    """A worker leaves before the cluster kills it; where no walltime is given, dask-jobqueue has one."""
    import dask

    seconds = walltime_seconds(jobs.walltime or dask.config.get(f"jobqueue.{kind}.walltime", None))
    if seconds is None:
        return []
    stagger = seconds // 20
    return [
        "--lifetime",
        f"{max(seconds - stagger - LEAVE_SECONDS, seconds // 2)}s",
        "--lifetime-stagger",
        f"{stagger}s",
    ]


def is_loopback(interface: str | None) -> bool:
    """Whether a network interface leads nowhere but here; ConfigError where there is none of that name."""
    if interface is None:
        return False
    from distributed.utils import get_ip_interface

    try:
        address = get_ip_interface(interface)  # type: ignore[no-untyped-call]
    except ValueError as error:
        raise ConfigError(f"[cluster] interface: {interface} is none of this machine.") from error
    return ipaddress.ip_address(address).is_loopback


def telling(job: Any, refusals: list[str], folder: str) -> Any:  # noqa: ANN401
    """The same kind of job, which says why it cannot be submitted: Dask logs that, and tries again.

    Its script has paths below `folder`, where certificates lie, as a shell takes them: there may be spaces in it.
    """

    class TellingJob(job):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
            super().__init__(*arguments, **options)
            command: str = self._command_template  # type: ignore[has-type]
            self._command_template = command.replace(folder, shlex.quote(folder))

        async def _submit_job(self, script_filename: str) -> Any:  # noqa: ANN401
            try:
                return await super()._submit_job(script_filename)
            except Exception as error:
                refusals.append(last_line(error))
                raise

    return TellingJob


def last_line(error: Exception) -> str:
    """Of a message of many lines; commands say there what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__
