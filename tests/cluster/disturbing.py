"""Runs on clusters that are disturbed, and what must be so afterward: that of a run that was let alone."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicomprep.engines.dask_settings import exported_settings
from tests.faults.disturbing import KEY, rows_of
from tests.running import PROJECT, Place, make_files, started, wait_until
from tests.services.gateway import Gateway

__all__ = ["JOBS", "Foreign", "Trial", "Whole", "foreign_cluster", "kill", "make_slow_files", "whole_run"]

JOBS = {"jobs": 2, "cores": 2, "memory": "1 GB", "interface": "lo"}

KEY_COLUMNS = 2
"""Of a row of `ROWS`: they say what it is of."""

MARK = "DICOMPREP_TRIAL"
"""Variable that says of the processes of jobs whose they are."""

_DASK = {"nanny": b"distributed.cli.dask_worker", "worker": b"multiprocessing.spawn"}
"""What the command lines of Dask's processes in a job have in them: its nanny, and the worker that it starts."""


def make_slow_files(root: Path, *, count: int, seconds: float) -> Path:
    """Files that take so long each (tests.faulty)."""
    return make_files(root, *(f"Ä {number}/nap-{seconds}.dcm" for number in range(count)))


@dataclass
class Trial:
    """A run in a process of its own; its data lie elsewhere, for many runs read the same."""

    place: Place
    source: Path
    options: dict[str, Any]
    gateway: Gateway | None = None
    """Where the images go, into a bucket of this run's own."""
    url: str = ""

    def __post_init__(self) -> None:
        self.place.base.mkdir(parents=True, exist_ok=True)
        for name in ("x.db.key", "out.key"):
            (self.place.base / name).touch(0o600)
            (self.place.base / name).write_text(KEY)
        if self.gateway is not None:
            self.url = f"s3://{self.gateway.new_bucket()}/images"

    @property
    def command(self) -> list[str]:
        """It prints what became of the files, or the error."""
        told = {"dicom_dir": str(self.source), "db": str(self.place.db), **self.options}
        told |= {"output_dir": self.url} if self.url else {}
        script = (
            "import sys; from pathlib import Path; from dicomprep.errors import DicomprepError;"
            "from tests import faulty; from tests.running import Place; from dicomprep.pipeline.result import *\n"
            "class Telling(ProgressListener):\n"
            "    def on_cluster(self, sentence): print(sentence)\n"
            "if __name__ == '__main__':\n"
            f"    place, told = Place(Path({str(self.place.base)!r})), {told!r}\n"
            "    try: result = place.run(work=faulty.PROCESS, listener=Telling(), **told)\n"
            "    except DicomprepError as error: print(error); sys.exit(3)\n"
            "    print(dict(result.statuses), result.unchanged); sys.exit(result.exit_code)\n"
        )
        file = self.place.base / "run.py"
        file.write_text(script, encoding="utf-8")
        return [sys.executable, str(file)]

    @property
    def environment(self) -> dict[str, str]:
        """Of the command, which those of its jobs have, too."""
        return {**os.environ, "PYTHONPATH": str(PROJECT), MARK: self.place.base.name}

    def finish(self) -> None:
        """Run it again, here and without a cluster."""
        self.place.run(dicom_dir=self.source, db=self.place.db, output_dir=self.url or None, **self._shaping)

    @property
    def _shaping(self) -> dict[str, Any]:
        return {name: value for name, value in self.options.items() if name in ("size",)}

    def images(self) -> dict[str, bytes]:
        """By their names."""
        if self.gateway is None:
            return self.place.images()
        bucket, _, prefix = self.url.removeprefix("s3://").partition("/")
        return {name: data for name, data in self.gateway.objects(bucket, prefix).items() if name.endswith(".png")}

    def processes(self, kind: str) -> list[tuple[int, str]]:
        """Dask's processes of a kind in its jobs, with the numbers of these."""
        found, mark = [], f"{MARK}={self.place.base.name}"
        for folder in Path("/proc").iterdir():
            with suppress(OSError):
                words = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
                job = next((word.partition("=")[2] for word in words if word.startswith("SLURM_JOB_ID=")), "")
                if job and mark in words and _DASK[kind] in (folder / "cmdline").read_bytes():
                    found.append((int(folder.name), job))
        return found


@dataclass(frozen=True)
class Whole:
    """What a run that was let alone leaves behind."""

    images: dict[str, bytes]
    rows: dict[str, Counter[tuple[str, ...]]]

    def compare(self, trial: Trial) -> Counter[str]:
        """How many images and rows are lost, doubled (or of nothing that there is), and mismatched."""
        found = whole_of(trial)
        counts = Counter(lost=0, doubled=0, mismatched=0)
        images = {name: Counter([(name, "", repr(data))]) for name, data in found.images.items()}
        mine = {name: Counter([(name, "", repr(data))]) for name, data in self.images.items()}
        for name in mine.keys() | images.keys():
            _count(counts, mine.get(name, Counter()), images.get(name, Counter()))
        for table, rows in self.rows.items():
            _count(counts, rows, found.rows[table])
        return counts


def _count(counts: Counter[str], whole: Counter[tuple[str, ...]], found: Counter[tuple[str, ...]]) -> None:
    missing = Counter(row[:KEY_COLUMNS] for row in (whole - found).elements())
    surplus = Counter(row[:KEY_COLUMNS] for row in (found - whole).elements())
    counts["mismatched"] += (missing & surplus).total()
    counts["lost"] += (missing - surplus).total()
    counts["doubled"] += (surplus - missing).total()


def whole_of(trial: Trial) -> Whole:
    """What is there now, as it can be compared."""
    rows = {
        name: Counter(tuple(map(repr, row if isinstance(row, tuple) else (row,))) for row in found)
        for name, found in rows_of(trial.place).items()
    }
    return Whole(trial.images(), rows)


def whole_run(trial: Trial) -> Whole:
    """Let it run, without a cluster and at once, and see what is there."""
    trial.finish()
    return whole_of(trial)


def kill(pid: int) -> None:
    """At once."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Foreign:
    """A cluster that somebody else started."""

    file: Path
    """Of its scheduler, as `--scheduler` takes it."""
    scheduler: "subprocess.Popen[str]"
    workers: list["subprocess.Popen[str]"]


@contextmanager
def foreign_cluster(base: Path, *workers: tuple[str, ...], threads: int = 2) -> Iterator[Foreign]:
    """A scheduler and a Dask worker for each of `workers`: what its command line begins with."""
    base.mkdir(parents=True, exist_ok=True)
    file, python = base / "scheduler.json", (sys.executable, "-m")
    exports = (line.removeprefix("export ").partition("=") for line in exported_settings())
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)} | {name: value.strip("'") for name, _, value in exports}
    quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    where = ("--host", "127.0.0.1", "--no-dashboard")
    command = (*python, "distributed.cli.dask_scheduler", *where, "--port", "0", "--scheduler-file", str(file))
    with started(command, base, **quiet) as scheduler:
        assert wait_until(file.exists, 30)
        time.sleep(0.2)
        with ExitStack() as stack:
            told = ("--scheduler-file", str(file), "--nthreads", str(threads), "--nworkers", "1")
            commands = [(*prefix, *python, "distributed.cli.dask_worker", *where, *told) for prefix in workers]
            runs = [stack.enter_context(started(command, base, **quiet)) for command in commands]
            yield Foreign(file, scheduler.process, [run.process for run in runs])
