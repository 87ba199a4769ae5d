"""A long run on a cluster: whether memory stays as it is, and whether the last files are as quick as the first.

All of it is real but the files, which are only spoken of: worker processes answer without decoding, as tiny files would
let them. python -m benchmarks.enduring PLACE FILES PID is the command of such a run; PID is the scheduler's.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.bench import Bench, Claim, Results
from benchmarks.launching import ROOT, fresh
from benchmarks.processes import memory_mb
from benchmarks.synthetic import answer, find_sources
from dicomprep.engines.dask_settings import exported_settings
from dicomprep.models import Outcome, Task
from dicomprep.pipeline.result import ProgressListener, Result

__all__ = ["claims", "describe", "endure"]

FILES = 200_000
DASK_WORKERS, SLOTS = 2, 4
SAMPLE_SECONDS = 2.0
PIECE = 4096
"""Files that are thought of at a time."""

FIRST, LAST = (0.1, 0.4), (0.7, 1.0)
"""Parts of the run that are compared: at its very beginning, workers and caches warm up."""

MIN_RATE, MAX_GROWTH = 0.9, 1.1


@dataclass(frozen=True, slots=True)
class Sample:
    """How a run stands."""

    files: int
    seconds: float
    cpu: float
    """Of the command."""
    parent_mb: float
    scheduler_mb: float


class Sampler(ProgressListener):
    """Notes how the run stands every now and then."""

    def __init__(self, scheduler: int) -> None:
        self.samples: list[Sample] = []
        self._scheduler, self._begun, self._at = scheduler, time.perf_counter(), 0.0

    def on_progress(self, result: Result) -> None:
        """See `ProgressListener`."""
        seconds = time.perf_counter() - self._begun
        if seconds - self._at >= SAMPLE_SECONDS:
            self._at, used = seconds, resource.getrusage(resource.RUSAGE_SELF)
            cpu, memory = used.ru_utime + used.ru_stime, [memory_mb(pid) for pid in (os.getpid(), self._scheduler)]
            self.samples.append(Sample(result.processed, seconds, cpu, *memory))


def endure(bench: Bench) -> Results:
    """Rates, processor time of the command, and memory, early and late."""
    files, place = round(FILES * bench.scale), fresh(bench.out)
    with _cluster(place / "scheduler.json") as scheduler:
        command = [sys.executable, "-m", "benchmarks.enduring", str(place), str(files), str(scheduler)]
        told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])
    samples = [Sample(**sample) for sample in told]
    return {"files": files, "slots": DASK_WORKERS * SLOTS, "first": _part(samples, FIRST), "last": _part(samples, LAST)}


def _part(samples: Sequence[Sample], part: tuple[float, float]) -> Results:
    """What a part of a run was like, by files."""
    ends = [share * samples[-1].files for share in part]
    inside = [sample for sample in samples if ends[0] <= sample.files <= ends[1]]
    first, last = inside[0], inside[-1]
    files = last.files - first.files
    return {
        "rate": files / (last.seconds - first.seconds),
        "cpu_ms": (last.cpu - first.cpu) * 1000 / files,
        "parent_mb": max(sample.parent_mb for sample in inside),
        "scheduler_mb": max(sample.scheduler_mb for sample in inside),
    }


@contextmanager
def _cluster(file: Path) -> Iterator[int]:
    """A scheduler and its workers; the scheduler's process."""
    exports = (line.removeprefix("export ").partition("=") for line in exported_settings())
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | {name: value.strip("'") for name, _, value in exports}
    python, where = [sys.executable, "-m"], ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file)]
    worker = [*python, "distributed.cli.dask_worker", *where, "--nthreads", str(SLOTS)]
    commands = [[*python, "distributed.cli.dask_scheduler", *where, "--port", "0"], *[worker] * DASK_WORKERS]
    with ExitStack() as stack:
        processes = []
        for command in commands:
            process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            processes.append(process)
            while not file.exists():
                time.sleep(0.1)
        yield processes[0].pid


def claims(found: Results) -> list[Claim]:
    """Its targets."""
    first, last = found["first"], found["last"]
    about = f"{found['files']:,} files, {found['slots']} slots"
    rate = last["rate"] / first["rate"]
    growth = {name: last[f"{name}_mb"] / first[f"{name}_mb"] for name in ("parent", "scheduler")}
    called = {"parent": "command", "scheduler": "scheduler"}
    return [
        Claim(f"{about}: rate at the end over that at the start", f"{rate:.2f}", f"≥ {MIN_RATE}", rate >= MIN_RATE),
        *(
            Claim(
                f"{about}: memory of the {called[name]} at the end over that at the start",
                f"{times:.2f}",
                f"≤ {MAX_GROWTH}",
                times <= MAX_GROWTH,
            )
            for name, times in growth.items()
        ),
    ]


def describe(found: Results) -> str:
    """A paragraph."""
    first, last = found["first"], found["last"]
    workers = f"{found['slots']} slots of {DASK_WORKERS} Dask workers"
    costs = f"{first['cpu_ms']:.2f} and {last['cpu_ms']:.2f} ms of processor time of the command for a file"
    memory = [f"{first[name]:.0f} and {last[name]:.0f} MB" for name in ("parent_mb", "scheduler_mb")]
    return (
        f"{found['files']:,} files that are only spoken of, through {workers}; early and late in the run:\n"
        f"{first['rate']:,.0f} and {last['rate']:,.0f} files/s, {costs};\n"
        f"the command holds {memory[0]}, Dask's scheduler {memory[1]}.\n"
    )


def say(task: Task, _settings: object, _heartbeat: object) -> Outcome:
    """What worker processes do."""
    return answer([task])[0]


def _run(place: Path, files: int, scheduler: int) -> None:
    from dicomprep.config import Config
    from dicomprep.pipeline.run import run
    from dicomprep.workspace import Workspace

    sampler = Sampler(scheduler)
    config = Config.of("/", scheduler=str(place / "scheduler.json"))
    sources = (source for start in range(0, files, PIECE) for source in find_sources(range(start, start + PIECE)))
    workspace = Workspace.create(place / "x.db", place / "images")
    run(workspace, config, listener=sampler, sources=lambda _spool: sources, work="benchmarks.enduring:say")
    print(json.dumps([asdict(sample) for sample in sampler.samples]))


if __name__ == "__main__":
    _run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
