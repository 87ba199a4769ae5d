"""Runs on clusters that are disturbed: a script that runs slow files, and the processes that can be ended."""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from tests.cluster.slurm import Slurm
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


def dask_processes(slurm: Slurm, kind: str) -> list[int]:
    """Processes of Dask in jobs of this cluster: each job's `nanny`, or the `worker` that it starts."""
    marks = {"nanny": b"distributed.cli.dask_worker", "worker": b"multiprocessing.spawn"}
    configuration = f"SLURM_CONF={slurm.environment['SLURM_CONF']}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            environment = (folder / "environ").read_bytes().split(b"\0")
            is_job = configuration in environment and any(word.startswith(b"SLURM_JOB_ID=") for word in environment)
            if is_job and marks[kind] in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def kill(pid: int) -> None:
    """At once."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
