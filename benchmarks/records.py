"""A database of a million images: how fast rows are planned and recorded, and what reading it as a whole takes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.bench import Bench, Claim, Results, claim_table
from benchmarks.launching import ROOT, fresh
from benchmarks.synthetic import RULE, SECRET, answer, find_sources, make_database
from dicomprep.config import Config
from dicomprep.database.address import DatabaseAddress
from dicomprep.database.writes.store import Store
from dicomprep.pipeline.planner import Planner
from dicomprep.pipeline.scheduler import PLAN_BATCH_FILES, RECORD_FILES

__all__ = ["claims", "describe", "draw", "measure", "measure_recording"]

IMAGES, RECORDED = 1_000_000, 50_000
TARGET_RATE, TARGET_MB, TARGET_STATUS = 20_000, 1000, 2.0
LOADING = "import sys, dicomprep; dicomprep.Dataset(sys.argv[1])"


class Took(NamedTuple):
    """What a program took."""

    cpu: float
    """Seconds of processor time."""
    memory_mb: float
    """The most that it held."""


def measure(bench: Bench) -> Results:
    """Record files, then read a database of many as a whole, each by a process of its own."""
    files, images = (max(1000, round(count * bench.scale)) for count in (RECORDED, IMAGES))
    recording = dict(zip(("plan", "record"), measure_recording(str(fresh(bench.out) / "new.db"), files), strict=True))
    folder = bench.cache / f"records-{images}"
    db = folder / "dicomprep.db"
    if not db.exists():
        make_database(folder, images)
    took = {name: _run(command)._asdict() for name, command in _commands(db, fresh(bench.out))}
    return {"files": files, "images": images, "recording": recording, "took": took}


def measure_recording(db: str, count: int) -> tuple[float, float]:
    """Microseconds of this process a file, to plan it and to record it, for a new database of either kind."""
    store = Store(DatabaseAddress.parse(db))
    run_id = store.begin_run(version="0", root="/in", options={})
    planner = Planner(store, Config(dicom_dir=Path("/in")), SECRET)
    planned = recorded = 0.0
    for start in range(0, count, RECORD_FILES):
        sources = find_sources(range(start, min(start + RECORD_FILES, count)))
        pieces = [sources[first : first + PLAN_BATCH_FILES] for first in range(0, len(sources), PLAN_BATCH_FILES)]
        begun = time.process_time()
        tasks = [task for piece in pieces for task in planner.plan(piece)]
        planned += time.process_time() - begun
        outcomes = answer(tasks)
        begun = time.process_time()
        store.record(outcomes, run_id=run_id, fingerprint="f", rule=RULE)
        planner.release(outcomes)
        recorded += time.process_time() - begun
    store.close()
    return planned / count * 1e6, recorded / count * 1e6


def _commands(db: Path, out: Path) -> Iterator[tuple[str, Sequence[object]]]:
    dicomprep = (sys.executable, "-m", "dicomprep")
    yield "status", (*dicomprep, "status", "--db", db)
    yield "audit", (*dicomprep, "audit", "--db", db)
    yield "Dataset", (sys.executable, "-c", LOADING, db)
    yield "export csv", (*dicomprep, "export", "csv", out / "export", "--db", db)


def _run(command: Sequence[object]) -> Took:
    """Run a program to its end; an audit that finds near-duplicates ends with 1."""
    with subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, cwd=ROOT) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode > 1:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return Took(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def claims(results: Results) -> list[Claim]:
    """The targets of rates, time and memory."""
    rate = 1e6 / sum(results["recording"].values())
    many, took = f"{results['images']:,} images", results["took"]
    found = [
        Claim(
            "planned and recorded on one core",
            f"{rate:,.0f} files/s",
            f"≥ {TARGET_RATE:,} files/s",
            rate >= TARGET_RATE,
        ),
        Claim(
            f"{many}: status",
            f"{took['status']['cpu']:.1f} s",
            f"< {TARGET_STATUS:g} s",
            took["status"]["cpu"] < TARGET_STATUS,
        ),
    ]
    for name in ("audit", "Dataset", "export csv"):
        memory = took[name]["memory_mb"]
        found.append(Claim(f"{many}: memory of {name}", f"{memory:,.0f} MB", f"< {TARGET_MB:,} MB", memory < TARGET_MB))
    return found


def describe(results: Results) -> str:
    """The section of the page."""
    more = [(f"{name} of a file", f"{us:.0f} µs", "", "") for name, us in results["recording"].items()]
    more += [(name, f"{took['cpu']:.1f} s", "", "") for name, took in results["took"].items() if name != "status"]
    return f"{INTRODUCTION.format(**results)}\n{claim_table(claims(results), more)}"


def draw(_results: Results, _images: Path) -> dict[str, str]:
    """No pictures."""
    return {}


INTRODUCTION = """## A database of a million images

Rows only, as a run makes them of CT slices with long headers (`benchmarks/synthetic.py`); {files:,} files are
planned and recorded in a new SQLite database, {images:,} images are read by each command. Times are processor time;
memory is the most that the process held.
"""
