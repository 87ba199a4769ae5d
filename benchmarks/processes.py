"""A program's processes while it runs: which there are, and what memory they hold (Linux)."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.launching import ROOT

__all__ = ["helpers", "memory_mb", "peak_mb", "started"]

PROC = Path("/proc")
SESSION = 3
"""Which field of /proc/PID/stat after the program's name."""


@contextmanager
def started(command: Sequence[str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a session of its own, by which all its processes are known, to its end; it prints to `output`."""
    with output.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, start_new_session=True)
        try:
            yield process
            process.wait()
        finally:
            process.terminate()
            process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")


def helpers(process: "subprocess.Popen[bytes]") -> list[int]:
    """The other processes of the program's session."""
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != process.pid:
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[SESSION]) == process.pid:
                    found.append(int(entry.name))
    return found


def memory_mb(pid: int) -> float:
    """What a process holds now, shared pages by its share of them; 0 where it is gone."""
    return _field(pid, "smaps_rollup", "Pss:")


def peak_mb(pid: int) -> float:
    """The most that a process has held at once, shared pages included; 0 where it is gone."""
    return _field(pid, "status", "VmHWM:")


def _field(pid: int, file: str, name: str) -> float:
    with suppress(OSError):
        for line in (PROC / str(pid) / file).read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
    return 0.0
