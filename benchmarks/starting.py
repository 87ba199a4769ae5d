"""What it takes to begin: the command line's help, the first image."""

import statistics
import sys
import time
from pathlib import Path

from benchmarks.bench import Bench, Claim, Results, claim_table
from benchmarks.cache import Extent
from benchmarks.corpus import CLASSES
from benchmarks.launching import fresh, preprocess_command, run
from benchmarks.processes import started

__all__ = ["claims", "describe", "draw", "measure"]

TARGET_HELP, TARGET_FIRST = 0.25, 1.5
TIMES = 7
SAMPLE_SECONDS = 0.005


def measure(bench: Bench) -> Results:
    """Medians, in seconds."""
    corpus = bench.make(CLASSES["ct"], "ct_start", Extent(200))
    corpus.warm()
    helps = [run(sys.executable, "-m", "dicomprep", "--help").cpu for _ in range(TIMES)]
    firsts = [_until_first(preprocess_command(corpus.folder, fresh(bench.out), workers=2), bench) for _ in range(TIMES)]
    results = {"help": statistics.median(helps), "first": statistics.median(firsts)}
    print(f"  --help {results['help']:.2f} s, first image {results['first']:.2f} s", flush=True)
    return results


def _until_first(command: list[str], bench: Bench) -> float:
    """Seconds from the start of a run until an image lies in its place."""
    begun = time.perf_counter()
    with started(command, bench.cache / "output.txt") as process:
        while not any(bench.out.glob("ct_start/*.png")):
            if process.poll() is not None:
                raise RuntimeError("it ended without an image")
            time.sleep(SAMPLE_SECONDS)
        return time.perf_counter() - begun


def claims(results: Results) -> list[Claim]:
    """The targets."""
    return [
        Claim(
            "processor time of `dicomprep --help`",
            f"{results['help']:.2f} s",
            f"< {TARGET_HELP} s",
            results["help"] < TARGET_HELP,
        ),
        Claim(
            "from the start of `preprocess` to the first image",
            f"{results['first']:.2f} s",
            f"< {TARGET_FIRST} s",
            results["first"] < TARGET_FIRST,
        ),
    ]


def describe(results: Results) -> str:
    """The section of the page."""
    return f"{INTRODUCTION}\n{claim_table(claims(results))}"


def draw(_results: Results, _images: Path) -> dict[str, str]:
    """No pictures."""
    return {}


INTRODUCTION = f"""## Starting

Medians of {TIMES}, with Python's compiled files and the raw CT files in the system's cache.
"""
