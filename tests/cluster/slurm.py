"""A real SLURM for tests: its controller and two "nodes" on this machine, on loopback alone, without systemd."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MISSING", "Slurm", "running_slurm"]

NODES, CPUS, MEMORY_MB = 2, 16, 16000

MISSING = next(
    (
        why
        for is_missing, why in (
            (os.name != "posix" or os.geteuid() != 0, "SLURM's daemons want to be root"),
            (any(shutil.which(name) is None for name in ("slurmctld", "slurmd", "sbatch")), "slurm-wlm is missing"),
        )
        if is_missing
    ),
    None,
)
"""Why there can be no SLURM here, for the tests that are skipped; None where there can."""

CONFIGURATION = """\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
ReturnToService=2
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmctldPort={port}
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=5
JobAcctGatherParams=OverMemoryKill
KillWait=3
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
NODE = "NodeName=n{number} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} RealMemory={memory}\n"


@dataclass(frozen=True)
class Slurm:
    """A cluster that is up."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """That its commands need."""
        return {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def call(self, *command: str) -> str:
        """What one of its commands prints."""
        return subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout

    def jobs(self) -> list[str]:
        """The numbers of the jobs that wait or run."""
        return self.call("squeue", "--noheader", "--states=PD,R", "--format=%i").split()

    def has_ended(self, seconds: float) -> bool:
        """Whether no job is left in time."""
        end = time.monotonic() + seconds
        while self.jobs() and time.monotonic() < end:
            time.sleep(0.2)
        return not self.jobs()


@contextmanager
def running_slurm(folder: Path) -> Iterator[Slurm]:
    """A cluster in an empty folder, up until the end of the block."""
    slurm = Slurm(folder)
    (folder / "state").mkdir()
    host, (port, *ports) = socket.gethostname().partition(".")[0], _free_ports(1 + NODES)
    nodes = [
        NODE.format(number=number, host=host, port=port, cpus=CPUS, memory=MEMORY_MB)
        for number, port in enumerate(ports, 1)
    ]
    text = CONFIGURATION.format(host=host, folder=folder, port=port)
    (folder / "slurm.conf").write_text(
        text.replace("PartitionName", "".join(nodes) + "PartitionName"), encoding="ascii"
    )
    try:
        slurm.call("slurmctld", "-f", str(folder / "slurm.conf"))
        for number in range(1, NODES + 1):
            slurm.call("slurmd", "-f", str(folder / "slurm.conf"), "-N", f"n{number}")
        _wait_until_idle(slurm)
        yield slurm
    finally:
        _end(slurm)


def _wait_until_idle(slurm: Slurm) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with suppress(subprocess.CalledProcessError):
            states = slurm.call("sinfo", "--noheader", "--Node", "--format=%T").split()
            if states == ["idle"] * NODES:
                return
        time.sleep(0.1)
    raise TimeoutError(f"SLURM does not come up; {slurm.folder} has its logs.")


def _end(slurm: Slurm) -> None:
    with suppress(subprocess.CalledProcessError):
        slurm.call("scancel", "--full", "--user=root", "--signal=KILL")
    for file in sorted(slurm.folder.glob("*.pid"), reverse=True):
        with suppress(OSError, ValueError):
            os.kill(int(file.read_text()), signal.SIGTERM)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
