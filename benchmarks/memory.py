"""The most memory that a worker takes for files of a gigabyte."""

import time
from dataclasses import replace
from pathlib import Path

from benchmarks.bench import Bench, Claim, Results, table, verdict
from benchmarks.cache import Extent
from benchmarks.corpus import CLASSES
from benchmarks.launching import fresh, preprocess_command
from benchmarks.processes import helpers, peak_mb, started

__all__ = ["claims", "describe", "draw", "measure"]

TARGET_MB = 400
SAMPLE_SECONDS = 0.02
BIG = {
    "native": (replace(CLASSES["mr"], shape=(512, 512), distinct=40), Extent(1, 2000)),
    "jpeg2000": (replace(CLASSES["dbt"], distinct=12), Extent(1, 340)),
}
"""One file each, in which some frames are repeated: of what they show, memory does not depend."""


def measure(bench: Bench) -> Results:
    """The peak for each file."""
    results = {}
    for name, (kind, extent) in BIG.items():
        corpus = bench.make(kind, f"big_{name}", extent)
        size = corpus.files()[0].stat().st_size
        peak = _watch(preprocess_command(corpus.folder, fresh(bench.out), workers=2), bench.cache / "output.txt")
        rows, columns = kind.shape
        results[name] = {"peak": peak, "size": size, "frames": corpus.frames, "shape": f"{rows}×{columns}"}
        print(f"  {name}: {peak:.0f} MB for a file of {size / 1e6:,.0f} MB", flush=True)
    return results


def _watch(command: list[str], output: Path) -> float:
    """The highest peak of any process but the first one."""
    peaks = [0.0]
    with started(command, output) as process:
        while process.poll() is None:
            peaks += [peak_mb(pid) for pid in helpers(process)]
            peaks = [max(peaks)]
            time.sleep(SAMPLE_SECONDS)
    return peaks[0]


def claims(results: Results) -> list[Claim]:
    """The target of each file."""
    return [
        Claim(f"worker's peak memory, {name}", f"{r['peak']:.0f} MB", f"< {TARGET_MB} MB", r["peak"] < TARGET_MB)
        for name, r in results.items()
    ]


def describe(results: Results) -> str:
    """The section of the page."""
    rows = [
        (
            name,
            f"{r['size'] / 1e6:,.0f} MB",
            f"{r['frames']:,} of {r['shape']}",
            f"{r['peak']:.0f} MB",
            f"< {TARGET_MB} MB",
            verdict(met=r["peak"] < TARGET_MB),
        )
        for name, r in results.items()
    ]
    return f"{INTRODUCTION}\n{table(['pixels', 'file', 'frames', 'peak of a worker', 'target', 'met'], rows)}"


def draw(_results: Results, _images: Path) -> dict[str, str]:
    """No pictures."""
    return {}


INTRODUCTION = """## Memory of a worker

One file of a gigabyte, two workers: the highest resident size (VmHWM, shared libraries included) that any worker
process had, sampled fifty times a second.
"""
