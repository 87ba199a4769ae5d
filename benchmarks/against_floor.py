"""The processor time of whole runs over that of their unavoidable parts."""

import json
import sqlite3
import statistics
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.bench import Bench, Claim, Results, table, verdict
from benchmarks.cache import Corpus
from benchmarks.floor import PARTS, Plan, spend
from benchmarks.launching import fresh, preprocess

__all__ = ["TARGET", "Loop", "claims", "describe", "draw", "measure"]

TARGET = 1.3


def measure(bench: Bench) -> Results:
    """Milliseconds for a frame of each class: of the whole run, and of each part."""
    return {name: _measure_class(bench, name) for name in bench.classes}


def _measure_class(bench: Bench, name: str) -> Results:
    full = bench.full(name)
    full.warm()
    wholes: list[float] = []
    floors: list[dict[str, float]] = []
    loop = Loop.over(bench, name)
    for _ in range(bench.runs):
        wholes.append(preprocess(full.folder, bench.out).cpu / full.frames * 1000)
        floors.append(loop.run(processes=2))
    parts = {part: statistics.median(floor[part] for floor in floors) for part in PARTS}
    whole = statistics.median(wholes)
    ratio = whole / sum(parts.values())
    print(f"  {name}: {ratio:.2f}× of {sum(parts.values()):.2f} ms", flush=True)
    return {"ratio": ratio, "whole": whole, "parts": parts, "step": loop.plan.step, "decoder": loop.plan.decoder}


@dataclass(frozen=True, slots=True)
class Loop:
    """The unavoidable parts of the files of a class, in plain loops."""

    corpus: Corpus
    scratch: Path
    thumbnails: Path
    plan: Plan

    @classmethod
    def over(cls, bench: Bench, name: str) -> "Loop":
        """Over few files of a class, of which a run shows how they are decoded."""
        corpus, thumbnails = bench.few(name), bench.cache / "thumbnails"
        corpus.warm()
        preprocess(corpus.folder, thumbnails)
        return cls(corpus, bench.cache / "floor", thumbnails, _plan(thumbnails))

    def run(self, *, processes: int) -> dict[str, float]:
        """Milliseconds of processor time for a frame of each part, by so many processes at once.

        They divide the files; a single file is done by all of them: it is the same work.
        """
        files = self.corpus.files()
        shares = [files[number::processes] for number in range(processes)] if len(files) > 1 else [files] * processes
        scratches = [fresh(self.scratch / str(number)) for number in range(processes)]
        work = partial(_spend, root=self.corpus.folder, thumbnails=self.thumbnails, plan=self.plan)
        with ProcessPoolExecutor(processes) as pool:
            spent = list(pool.map(work, shares, scratches))
        frames = sum(len(share) for share in shares) * self.corpus.extent.frames
        return {part: sum(found[part] for found in spent) / frames * 1000 for part in PARTS}


def _plan(out: Path) -> Plan:
    """How a run decoded, from what it recorded with a frame."""
    with closing(sqlite3.connect(out / "bench.db")) as database:
        recorded = json.loads(database.execute("select transform from frames").fetchone()[0])
    decoded_at = recorded["intensity"].get("decoded_at", "1/1 ").split()[0]
    rows, columns = recorded["geometry"]["scaled_shape"]
    return Plan(recorded["intensity"]["decoder"], int(decoded_at.partition("/")[2]), (rows, columns))


def _spend(files: list[Path], scratch: Path, *, root: Path, thumbnails: Path, plan: Plan) -> dict[str, float]:
    return spend(files, root, thumbnails, plan, scratch)


def claims(results: Results) -> list[Claim]:
    """The target of each class."""
    return [
        Claim(f"{name}: processor time over its floor", f"{r['ratio']:.2f}×", f"≤ {TARGET}×", r["ratio"] <= TARGET)
        for name, r in results.items()
    ]


def describe(results: Results) -> str:
    """The section of the page."""
    rows = []
    for name, r in results.items():
        shares = [f"{100 * r['parts'][part] / r['whole']:.0f} %" for part in PARTS]
        rest = f"{100 * (1 - sum(r['parts'].values()) / r['whole']):.0f} %"
        how = r["decoder"] + (f", 1/{r['step']}" if r["step"] > 1 else "")
        rows.append((name, how, *shares, rest, f"{r['ratio']:.2f}×", verdict(met=r["ratio"] <= TARGET)))
    head = ["class", "decoded by, at", *PARTS, "all else", "whole over floor", f"met (≤ {TARGET}×)"]
    return f"{INTRODUCTION}\n{table(head, rows)}"


def draw(results: Results, images: Path) -> dict[str, str]:
    """The pictures of the section and what they show."""
    from benchmarks.plots import draw_stacked

    bars = {}
    for name, r in results.items():
        floor = sum(r["parts"].values())
        bars[name] = {part: r["parts"][part] / floor for part in PARTS} | {"all else": max(0.0, r["ratio"] - 1)}
    path = images / "bench_floor.svg"
    draw_stacked(path, bars, label="processor time, in floors", line=(TARGET, "target"))
    return {path.name: "Processor time of whole runs by class, the unavoidable parts being 1"}


INTRODUCTION = """## Against the floor

Processor time (user and system, of all processes, start-up included) of a whole run for a frame, over the sum of its
unavoidable parts: reading the file, entropy decoding at the resolution at which dicomprep decodes, resampling a drawn
8-bit picture of that size, encoding the thumbnail as PNG, writing it under a temporary name and renaming it. The parts
are measured in a plain loop over the same libraries (`benchmarks/floor.py`), in two processes at once as the workers
are, in turn with the whole runs; medians. Native frames are resampled at their full size there, also where dicomprep
takes means of stored values first; JPEG 2000 is decoded to its last bit there, while dicomprep leaves out bits that
would not be seen; and 512 or 1024 rows are resampled in one go there, while dicomprep first makes them a multiple of
what the thumbnail has. Shares are of the whole run's time.
"""
