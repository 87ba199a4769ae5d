"""Two workers against one, on many files and on one long file."""

import time
from dataclasses import replace
from pathlib import Path

from benchmarks.against_floor import Loop
from benchmarks.bench import Bench, Claim, Results, in_turn, table, verdict
from benchmarks.cache import Corpus, Extent
from benchmarks.corpus import CLASSES
from benchmarks.launching import preprocess

__all__ = ["claims", "describe", "draw", "measure"]

TARGET_FILES, TARGET_FILE = 1.8, 1.7
LONG = {"us": Extent(1, 3000), "mr": Extent(1, 10_000)}
"""One file each; the tomosynthesis of the corpus is one anyway."""


def measure(bench: Bench) -> Results:
    """The speed-up of each class and of each long file."""
    results = {}
    for name in bench.classes:
        results[name] = _speedup(bench, name, bench.full(name))
        if results[name]["files"] > 1:
            results[name]["plain"] = _plain_speedup(bench, name)
    for name in [name for name in LONG if name in bench.classes]:
        kind = replace(CLASSES[name], distinct=200)
        title = f"{name}, one file"
        results[title] = _speedup(bench, title, bench.make(kind, f"{name}_long", LONG[name]))
    return results


def _speedup(bench: Bench, title: str, corpus: Corpus) -> Results:
    corpus.warm()
    one, two = in_turn(
        [
            lambda: preprocess(corpus.folder, bench.out, workers=1).seconds,
            lambda: preprocess(corpus.folder, bench.out, workers=2).seconds,
        ],
        runs=bench.runs,
    )
    print(f"  {title}: {one / two:.2f}×, {one:.1f} s and {two:.1f} s", flush=True)
    return {"speedup": one / two, "files": corpus.extent.files, "frames": corpus.frames, "seconds": [one, two]}


def _plain_speedup(bench: Bench, name: str) -> float:
    """How many times as fast two processes that know nothing of each other do the unavoidable parts as one does."""
    loop = Loop.over(bench, name)

    def seconds(processes: int) -> float:
        begun = time.perf_counter()
        loop.run(processes=processes)
        return time.perf_counter() - begun

    one, two = in_turn([lambda: seconds(1), lambda: seconds(2)], runs=bench.runs)
    return one / two


def _target(result: Results) -> float:
    return TARGET_FILE if result["files"] == 1 else TARGET_FILES


def claims(results: Results) -> list[Claim]:
    """The target of each."""
    return [
        Claim(
            f"{name}: two workers against one", f"{r['speedup']:.2f}×", f"{_target(r):g}×", r["speedup"] >= _target(r)
        )
        for name, r in _ordered(results).items()
    ]


HEAD = ["class", "files", "frames", "plain loops", "two against one", "target", "met"]


def describe(results: Results) -> str:
    """The section of the page."""
    rows = [
        (
            name,
            f"{r['files']:,}",
            f"{r['frames']:,}",
            f"{r['plain']:.2f}×" if "plain" in r else "–",
            f"{r['speedup']:.2f}×",
            f"{_target(r):g}×",
            verdict(met=r["speedup"] >= _target(r)),
        )
        for name, r in _ordered(results).items()
    ]
    return f"{INTRODUCTION}\n{table(HEAD, rows)}"


def draw(results: Results, images: Path) -> dict[str, str]:
    """The pictures of the section and what they show."""
    from benchmarks.plots import draw_bars

    ordered = _ordered(results)
    path = images / "bench_workers.svg"
    bars = {name: r["speedup"] for name, r in ordered.items()}
    marks = [_target(r) for r in ordered.values()]
    draw_bars(path, bars, marks=marks, label="frames per second of two workers, times those of one")
    return {path.name: "Two workers against one, by class"}


def _ordered(results: Results) -> Results:
    """Many files first, then single ones."""
    return dict(sorted(results.items(), key=lambda item: item[1]["files"] == 1))


INTRODUCTION = """## Two workers against one

Whole runs in turn on the same files, start-up included, medians. A single file with many frames has to be divided among
the workers; in the long ultrasound and MR files 200 frames are repeated. The program's own process (finding files,
recording rows) shares the machine with the workers; with two cores it takes its part from one of them. *Plain loops*
says what the machine itself allows: two processes that only do the unavoidable parts (as for the floor above), each of
half of the files, against one of them all. Where it is below 2, cores wait for memory, caches or the disk.
"""
