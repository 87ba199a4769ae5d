"""Runs on clusters that are disturbed: a script that runs slow files, and the processes that can be ended."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.running import Place, make_files

__all__ = ["SLOW_FILES", "dask_processes", "kill", "make_slow_files", "run_script"]

SLOW_FILES = 120
"""Enough for some seconds of four slots."""


def make_slow_files(place: Place, count: int = SLOW_FILES) -> None:
    """Files that take a tenth of a second each (tests.faulty)."""
    make_files(place.source, *(f"Ä {number}/nap-0.1.dcm" for number in range(count)))


def run_script(place: Place, **options: object) -> list[str]:
    """A command that runs the pipeline with that work; it prints what became of the files, or the error."""
    script = (
        "import sys; from pathlib import Path; from dicomprep.errors import DicomprepError;"
        "from tests import faulty; from tests.running import Place\n"
        "if __name__ == '__main__':\n"
        f"    try: result = Place(Path({str(place.base)!r})).run(work=faulty.PROCESS, **{options!r})\n"
        "    except DicomprepError as error: print(error); sys.exit(3)\n"
        "    print(dict(result.statuses), result.unchanged)\n"
    )
    file = place.base / "run.py"
    file.write_text(script, encoding="utf-8")
    return [sys.executable, str(file)]


def dask_processes(kind: str, within: Iterator[int] | None = None) -> list[int]:
    """Processes of Dask on this machine: `nanny` (of a job or a command), or `worker`, which it starts."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            command = (folder / "cmdline").read_bytes().split(b"\0")
            is_nanny = b"distributed.cli.dask_worker" in command or b"worker" in command[1:3]
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            above = Path(f"/proc/{parent}/cmdline").read_bytes()
            is_worker = b"dask" in above and any(b"spawn_main" in word for word in command)
            if (is_nanny if kind == "nanny" else is_worker) and folder.name.isdigit():
                found.append(int(folder.name))
    return found


def kill(pid: int) -> None:
    """At once."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
