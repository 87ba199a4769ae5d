"""A cluster: what Dask costs against worker processes of this machine, and how many workers a run can feed."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from benchmarks import enduring
from benchmarks.bench import Bench, Claim, Results, claim_table, in_turn
from benchmarks.enduring import endure
from benchmarks.launching import fresh, preprocess_command, run
from benchmarks.small_files import make_small
from benchmarks.synthetic import find_sources

__all__ = ["claims", "describe", "draw", "measure"]

TARGETS = {"ct": 1.10, "mr": 1.03, "us": 1.03}
SLOTS = 500
SIMULATED_FILES = 200_000
ENGINES = ("local", "dask")
PIECE = 4096
"""Files that are thought of at a time."""


def measure(bench: Bench) -> Results:
    """Ratios of processor time by class; that of parent and scheduler for a file of a simulated cluster; a long run."""
    start = _start_seconds(bench)
    results: Results = {name: _ratio(bench, name, start) for name in TARGETS if name in bench.classes}
    results["start"] = start
    results["long run"] = endure(bench)
    print(f"  long run {results['long run']}", flush=True)
    results["simulation"] = _simulate(bench, round(SIMULATED_FILES * bench.scale))
    print(f"  simulation {results['simulation']}", flush=True)
    return results


def _start_seconds(bench: Bench) -> float:
    """What Dask costs where there is next to nothing to do: its libraries, and a process more that loads them."""
    folder = make_small(1, cache=bench.cache)
    local, dask = in_turn([partial(_cpu, bench, folder, engine) for engine in ENGINES], runs=max(3, bench.runs))
    print(f"  start {dask - local:.2f} s more than {local:.2f} s", flush=True)
    return dask - local


def _ratio(bench: Bench, name: str, start: float) -> Results:
    """Of the sums of processor time; `beyond_start` leaves that of the start out of it."""
    corpus = bench.full(name)
    corpus.warm()
    local, dask = in_turn([partial(_cpu, bench, corpus.folder, engine) for engine in ENGINES], runs=bench.runs)
    found = {"ratio": dask / local, "beyond_start": (dask - start) / local, "seconds": [local, dask]}
    print(f"  {name} {found}", flush=True)
    return found


def _cpu(bench: Bench, folder: Path, engine: str) -> float:
    return run(*preprocess_command(folder, fresh(bench.out), workers=2), "--engine", engine).cpu


def _simulate(bench: Bench, files: int) -> Results:
    place = fresh(bench.out)
    place.mkdir(parents=True, exist_ok=True)
    with _stub_cluster(place / "scheduler.json") as scheduler:
        before = _cpu_seconds(scheduler.pid)
        command = [sys.executable, "-m", "benchmarks.cluster", str(place), str(files)]
        told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])
        return told | {"scheduler_ms": (_cpu_seconds(scheduler.pid) - before) * 1000 / files, "files": files}


@contextmanager
def _stub_cluster(file: Path) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "benchmarks.stub_cluster"]
    with subprocess.Popen([*command, "scheduler", str(file)]) as scheduler:
        try:
            while not file.exists():
                time.sleep(0.1)
            with subprocess.Popen([*command, "workers", str(file), str(SLOTS)]) as workers:
                try:
                    yield scheduler
                finally:
                    workers.kill()
        finally:
            scheduler.kill()


def _cpu_seconds(pid: int) -> float:
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100
    return 0.0


def _run_parent(place: Path, files: int) -> Results:
    """A run over files that are only spoken of, on the stub cluster; what it cost this process."""
    from dicomprep.config import Config
    from dicomprep.pipeline.run import run as run_pipeline
    from dicomprep.workspace import Workspace

    sources = (source for start in range(0, files, PIECE) for source in find_sources(range(start, start + PIECE)))
    config = Config.of("/", scheduler=str(place / "scheduler.json"))
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    result = run_pipeline(Workspace.create(place / "x.db", place / "images"), config, sources=lambda _spool: sources)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "parent_ms": cpu * 1000 / result.found,
        "seconds": time.perf_counter() - begun,
        "memory_mb": after.ru_maxrss / 1024,
    }


def claims(results: Results) -> list[Claim]:
    """The targets."""
    found = [
        Claim(
            f"processor time of `--engine dask` over that of worker processes, beyond its start, {name}",
            f"{results[name]['beyond_start']:.2f}",
            f"≤ {target:.2f}",
            results[name]["beyond_start"] <= target,
        )
        for name, target in TARGETS.items()
        if name in results
    ]
    return found + (enduring.claims(results["long run"]) if "long run" in results else [])


def describe(results: Results) -> str:
    """The section of the page."""
    text = f"## On a cluster\n\n{claim_table(claims(results))}"
    if "start" in results:
        whole = ", ".join(f"{results[name]['ratio']:.2f} for {name}" for name in TARGETS if name in results)
        text += f"\nDask takes {results['start']:.1f} s of processor time to start; with that the ratios are {whole}.\n"
    if "long run" in results:
        text += f"\n{enduring.describe(results['long run'])}"
    told = results.get("simulation")
    if told is None:
        return text
    busiest = max(told["parent_ms"], told["scheduler_ms"])
    costs = f"{told['parent_ms']:.2f} ms of processor time a file, the scheduler {told['scheduler_ms']:.3f} ms"
    return (
        f"{text}\n{SLOTS} workers that nap in place of decoding, {told['files']:,} files that are only spoken of: the\n"
        f"command takes {costs}. So it feeds\nworkers that do up to {1000 / busiest:,.0f} files/s in all,"
        f" and holds {told['memory_mb']:,.0f} MB.\n"
    )


def draw(results: Results, folder: Path) -> dict[str, str]:
    """No pictures."""
    return {}


if __name__ == "__main__":
    print(json.dumps(_run_parent(Path(sys.argv[1]), int(sys.argv[2]))))
