"""Frames per second against the baseline script, two workers each."""

import statistics
import sys
from pathlib import Path

from benchmarks.bench import Bench, Claim, Results, in_turn, table, verdict
from benchmarks.corpus import CLASSES
from benchmarks.launching import count_images, fresh, preprocess, run

__all__ = ["TARGET", "claims", "describe", "draw", "measure"]

TARGET = {
    "ct": 5, "ct_jpegls": 2, "ct_jpegll": 3, "ct_j2k": 1.2, "cr": 8, "mg": 25, "us": 200, "mr": 15, "dbt": 40,
}  # fmt: skip
"""How many times the baseline's frames per second are wanted."""

TARGET_MEAN = 12
PATIENCE = 100
"""A side that has taken more seconds than that is not repeated."""


def measure(bench: Bench) -> Results:
    """The ratio of each class."""
    return {name: _measure_class(bench, name) for name in bench.classes}


def _measure_class(bench: Bench, name: str) -> Results:
    few, full = bench.few(name), bench.full(name)
    few.warm()
    full.warm()

    def seed() -> float:
        out = fresh(bench.out)
        seconds = run(sys.executable, "-m", "benchmarks.baseline", few.folder, out, 2).seconds
        if (made := len(list(out.glob("*.png")))) != few.frames:
            raise RuntimeError(f"the baseline script made {made:,} images of {few.frames:,} frames of {name}")
        return seconds

    def dicomprep() -> float:
        seconds = preprocess(full.folder, bench.out).seconds
        if (made := count_images(bench.out)) != full.frames:
            raise RuntimeError(f"dicomprep made {made:,} images of {full.frames:,} frames of {name}")
        return seconds

    seeds, ours = in_turn([seed, dicomprep], runs=bench.runs, patience=PATIENCE)
    times = (full.frames / ours) / (few.frames / seeds)
    print(f"  {name}: {times:.1f}×, {seeds:.1f} s and {ours:.1f} s", flush=True)
    return {"times": times, "seed_frames": few.frames, "frames": full.frames, "seconds": ours, "seed_seconds": seeds}


def claims(results: Results) -> list[Claim]:
    """The target of each class, and of all."""
    found = [
        Claim(
            f"{name} against the baseline script",
            f"{r['times']:.3g}×",
            f"{TARGET[name]:g}×",
            r["times"] >= TARGET[name],
        )
        for name, r in results.items()
    ]
    mean = statistics.geometric_mean([r["times"] for r in results.values()])
    what = f"geometric mean of {len(results)} classes against the baseline script"
    return [*found, Claim(what, f"{mean:.3g}×", f"{TARGET_MEAN}×", mean >= TARGET_MEAN)]


def describe(results: Results) -> str:
    """The section of the page."""
    rows = [
        (
            name,
            CLASSES[name].what,
            f"{r['seed_frames']:,}",
            f"{r['frames']:,}",
            f"{r['times']:.3g}×",
            f"{TARGET[name]:g}×",
            verdict(met=r["times"] >= TARGET[name]),
        )
        for name, r in results.items()
    ]
    mean = claims(results)[-1]
    head = ["class", "what it is", "frames, baseline", "frames, dicomprep", "times the baseline", "target", "met"]
    return (
        f"{INTRODUCTION}\n{table(head, rows)}\nGeometric mean of {len(results)} classes: **{mean.found}**; target "
        f"{mean.target}; met: {verdict(met=mean.met)}.\n"
    )


def draw(results: Results, images: Path) -> dict[str, str]:
    """The pictures of the section and what they show."""
    from benchmarks.plots import draw_bars

    bars = {name: r["times"] for name, r in results.items()}
    path = images / "bench_seed.svg"
    label = "times the baseline's frames per second"
    draw_bars(path, bars, marks=[TARGET[name] for name in bars], label=label, log=True)
    return {path.name: "Frames per second against the baseline script, by class"}


INTRODUCTION = """## Against the baseline script

Frames per second of whole runs, start-up and database included, two workers each, both sides in turn, medians. The
baseline script (`benchmarks/baseline.py`) reads and decodes a file again for each of its frames. dicomprep is given
so many files that it runs for several seconds: those of the baseline script, each under several names (hard links).
The baseline script would need minutes to hours for them, and is given each once. Its cost per frame grows with the
frames of a *file*, not with the number of files, so the files of both sides have the same number of frames, with one
exception: tomosynthesis is one file, of 10 frames for the baseline script (which keeps one worker busy, for a file is
its unit of work), and of more for dicomprep, whose cost per frame does not grow with them; with as many frames the
baseline would be slower still. Where the baseline side takes minutes, it is run fewer times.
"""
