"""Which engine does the work of a run, and the jobs that a cluster's workers are: checked when they are made."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Self, TypeVar

from dicomprep.errors import ConfigError

__all__ = ["ClusterKind", "EngineKind", "EngineOptions", "JobOptions", "choose", "walltime_seconds"]

E = TypeVar("E", bound=StrEnum)


class EngineKind(StrEnum):
    """Where tasks are done."""

    LOCAL = "local"
    DASK = "dask"


class ClusterKind(StrEnum):
    """What starts the jobs of a cluster."""

    SLURM = "slurm"
    PBS = "pbs"
    SGE = "sge"
    LSF = "lsf"
    HTCONDOR = "htcondor"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Where the work is done. The images and rows are the same everywhere."""

    engine: EngineKind = EngineKind.LOCAL
    """local: worker processes of this machine; dask: the workers of a Dask cluster, by default one on this machine."""
    scheduler: str | None = None
    """Dask scheduler of a running cluster: tcp://HOST:PORT, tls://HOST:PORT or its JSON file. Implies --engine dask."""
    cluster: ClusterKind | None = None
    """Start workers as jobs (table [cluster] of dicomprep.toml), and end them afterward. Implies --engine dask."""
    tls: bool = False
    """Encrypt all traffic of the Dask cluster, and refuse one that does not. Jobs on other machines always do."""

    def __post_init__(self) -> None:
        given = [f"--{name}" for name in ("scheduler", "cluster") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ConfigError(f"{' and '.join(given)}: give one of them.")
        if self.cluster is not None:
            object.__setattr__(self, "cluster", choose(ClusterKind, "cluster", self.cluster))
        engine = EngineKind.DASK if given else choose(EngineKind, "engine", self.engine)
        object.__setattr__(self, "engine", engine)
        if self.scheduler is not None and not re.fullmatch(r"(tcp|tls)://[^/\s]+:\d+|.+\.json", self.scheduler):
            raise ConfigError(f"--scheduler {self.scheduler}: give tcp://HOST:PORT, tls://HOST:PORT or FILE.json.")
        if self.tls and engine is EngineKind.LOCAL:
            raise ConfigError("--tls is for --engine dask.")

    @property
    def is_local(self) -> bool:
        """Whether all work is done by processes of this one."""
        return self.engine is EngineKind.LOCAL


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """The jobs of a cluster: the table `[cluster]` of `dicomprep.toml`."""

    jobs: tuple[int, int] = (1, 1)
    """Minimum and maximum number of jobs; in between, as many as there is work for."""
    cores: int = 1
    """Of a job, each of which processes one file at a time."""
    memory: str = ""
    """Of a job: `16 GB`."""
    walltime: str | None = None
    """`HH:MM:SS`, after which the cluster ends a job."""
    queue: str | None = None
    """Queue or partition."""
    account: str | None = None
    """Account or project that is charged."""
    disk: str | None = None
    """Of a job, for HTCondor."""
    resources: str | None = None
    """Resource specification, for PBS and SGE."""
    directives: tuple[str, ...] = ()
    """More lines of the job's header: `--gres=…`; for HTCondor `name = value`."""
    setup: tuple[str, ...] = ()
    """Commands of the shell before the worker starts, such as those that activate its environment."""
    python: str | None = None
    """The interpreter of the workers; this one unless given."""
    interface: str | None = None
    """Network interface that the jobs reach this machine by."""
    logs: str | None = None
    """Folder of the jobs' logs."""

    def __post_init__(self) -> None:
        least, most = self.jobs
        _require(0 <= least <= most and most > 0, "jobs: give a number, or [least, most].")
        _require(self.cores > 0, "cores: give at least 1.")
        _require(re.fullmatch(r"\d+(\.\d+)? ?[KMGT]i?B", self.memory), 'memory: say what a job gets, such as "16 GB".')
        if self.walltime is not None:
            _require(walltime_seconds(self.walltime), 'walltime: give "HH:MM:SS".')

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Self:
        """From a table as TOML has it; ConfigError where something in it is unknown or of another kind."""
        known = {field.name: field.type for field in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in table.items():
            _require(name in known, f"{name} is unknown; there are {', '.join(known)}.")
            values[name] = _READ.get(name, _read_text)(name, value)
        return cls(**values)


def walltime_seconds(text: object) -> int | None:
    """A walltime as a number; None where it is none of the form HH:MM, HH:MM:SS or D-HH:MM:SS."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d\d)(?::(\d\d))?", str(text))
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _read_jobs(name: str, value: object) -> tuple[int, int]:
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        least, most = (_read_count(name, one) for one in value)
        return least, most
    count = _read_count(name, value)
    return count, count


def _read_count(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ConfigError(f"[cluster] {name}: {value!r} is not a whole number.")


def _read_lines(name: str, value: object) -> tuple[str, ...]:
    lines = value if isinstance(value, list | tuple) else [value]
    return tuple(_read_text(name, line) for line in lines)


def _read_text(name: str, value: object) -> str:
    _require(isinstance(value, str), f"{name}: {value!r} is not a text.")
    return str(value)


_READ = {"jobs": _read_jobs, "cores": _read_count, "directives": _read_lines, "setup": _read_lines}


def choose(kind: type[E], option: str, value: str) -> E:
    """The member of an enumeration that an option names; ConfigError where there is none."""
    try:
        return kind(value)
    except ValueError as error:
        raise ConfigError(f"--{option} {value}: choose {', '.join(kind)}.") from error


def _require(condition: object, message: str) -> None:
    if not condition:
        raise ConfigError(f"[cluster] {message}")
