"""Measure all classes and write docs/benchmarks.md: python -m benchmarks.run [--scale S] [--runs N] [CLASS …]

Both sides run in turn on the same files with the same number of workers; medians of several runs; ratios only, for
machines differ and are noisy.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.corpus import CLASSES, make_class

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
WORKERS = 2
ASKED = {
    "ct": 5, "ct_jpegls": 2, "ct_jpegll": 3, "ct_j2k": 1.2, "cr": 8, "mg": 25, "us": 200, "mr": 15, "dbt": 40,
}  # fmt: skip
"""How many times the seed's frames per second are wanted."""

HEAD = """# How fast it is

Made by `make bench`. Frames per second of whole runs with two workers, start-up included, on a generated corpus
(`benchmarks/corpus.py`), against the seed's design (`benchmarks/seed_design.py`); both sides in turn on the same files,
medians of several runs, ratios only.

| class | what it is | frames | times the seed's design | asked for | two workers against one |
|---|---|---|---|---|---|
"""


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("classes", nargs="*", default=list(CLASSES), metavar="CLASS")
    parser.add_argument("--scale", type=float, default=1.0, help="times the files of a class")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    rows = [measure(name, options.scale, options.runs) for name in options.classes]
    ratios = [float(row[3].removesuffix("×")) for row in rows]
    body = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    PAGE.write_text(f"{HEAD}{body}\nGeometric mean of {len(rows)} classes: {statistics.geometric_mean(ratios):.1f}×.\n")
    print(PAGE.read_text())


def measure(name: str, scale: float, runs: int) -> tuple[str, ...]:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        frames = make_class(name, base / "in", scale=scale)
        seed, ours, alone = [], [], []
        for _ in range(runs):
            seed.append(seconds(["-m", "benchmarks.seed_design", base / "in", base / "out", WORKERS], base / "out"))
            ours.append(seconds(["-m", "dicomprep", *preprocess(base, WORKERS)], base / "out"))
            alone.append(seconds(["-m", "dicomprep", *preprocess(base, 1)], base / "out"))
    times = statistics.median(seed) / statistics.median(ours)
    speedup = statistics.median(alone) / statistics.median(ours)
    row = (name, CLASSES[name][1], f"{frames:,}", f"{times:.1f}×", f"{ASKED[name]}×", f"{speedup:.2f}×")
    print(*row, sep=" | ", flush=True)
    return row


def preprocess(base: Path, workers: int) -> list[object]:
    """The arguments of our side."""
    return [
        "preprocess",
        base / "in",
        "--output-dir",
        base / "out",
        "--db",
        base / "out" / "a.db",
        "--workers",
        workers,
    ]


def seconds(arguments: list[object], out: Path) -> float:
    """How long one run takes, from an empty output folder on."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    start = time.perf_counter()
    subprocess.run([sys.executable, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
