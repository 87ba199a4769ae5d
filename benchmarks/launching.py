"""Runs of a program: how long, how much processor time of all its processes, what it printed.

Measured from a process of its own (python -m benchmarks.launching COMMAND …): processes whose parent is gone are
handed to it, so that none is missed.
"""

import ctypes
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "Run", "count_images", "discarded", "fresh", "preprocess", "preprocess_command", "run"]

ROOT = Path(__file__).parent.parent
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Run:
    """A program that has ended well."""

    seconds: float
    """From its start to its end."""
    cpu: float
    """Seconds, user and system, of it and all processes it started."""
    output: str


def run(*command: object) -> Run:
    """Run a program from the project's folder to its end; RuntimeError with what it said where it fails."""
    launched = subprocess.run(
        [sys.executable, "-m", "benchmarks.launching", *map(str, command)],
        check=True,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    told = json.loads(launched.stdout)
    if told["status"] != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {told['status']}:\n{told['output'][-2000:]}")
    return Run(told["seconds"], told["cpu"], told["output"])


def preprocess_command(folder: Path, out: Path, *, workers: int) -> list[str]:
    """What turns `folder` into images and a database in `out`."""
    where = [str(folder), "--output-dir", str(out), "--db", str(out / "bench.db")]
    return [sys.executable, "-m", "dicomprep", "preprocess", *where, "--workers", str(workers)]


def preprocess(folder: Path, out: Path, *, workers: int = 2) -> Run:
    """Turn `folder` into images in `out`, which is emptied first."""
    return run(*preprocess_command(folder, fresh(out), workers=workers))


def count_images(out: Path) -> int:
    """How many images were made, those of duplicates included: corpora are linked under several names."""
    with closing(sqlite3.connect(out / "bench.db")) as database:
        return int(database.execute("select count(*) from frames").fetchone()[0])


def fresh(folder: Path) -> Path:
    """The folder, empty.

    What was there is put aside, not deleted: for a minute after that, ext4 is slow at making new files.
    """
    if folder.exists():
        aside = discarded(folder.parent)
        aside.mkdir(exist_ok=True)
        folder.rename(aside / f"{len(list(aside.iterdir()))}")
    folder.mkdir(parents=True)
    return folder


def discarded(cache: Path) -> Path:
    """Where results are kept that nobody needs any more."""
    return cache / "discarded"


def main(command: list[str]) -> None:
    """Run the command and print what it took as JSON."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        cpu = used.ru_utime + used.ru_stime
        with suppress(ChildProcessError):
            while True:
                used = os.wait4(-1, 0)[2]
                cpu += used.ru_utime + used.ru_stime
        output.seek(0)
        said = output.read().decode(errors="replace")
    code = os.waitstatus_to_exitcode(status)
    print(json.dumps({"status": code, "seconds": seconds, "cpu": cpu, "output": said}))


if __name__ == "__main__":
    main(sys.argv[1:])
