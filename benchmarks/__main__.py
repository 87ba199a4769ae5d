"""Measure, and write docs/benchmarks.md: python -m benchmarks [PART …]

Parts are seed, floor, others, workers, scale, records, memory, start, profile, loaders, formats, crops and cluster;
none means all.
What each finds is kept in benchmarks/results.json, from which the page is made; `report` only makes the page.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.corpus import CLASSES
from benchmarks.launching import discarded
from benchmarks.report import PARTS, update, write_page


def main() -> None:
    """Measure the selected parts and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    choices = [*PARTS, "report", []]  # [] for none: before Python 3.12 that is looked up, too
    parser.add_argument("parts", nargs="*", choices=choices, metavar="PART")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "dicomprep-bench")
    parser.add_argument("--scale", type=float, default=1.0, help="times the files of everything")
    parser.add_argument("--runs", type=int, default=3, help="of which the median counts")
    parser.add_argument("--classes", nargs="+", choices=list(CLASSES), default=list(CLASSES), metavar="CLASS")
    options = parser.parse_args()
    bench = Bench(options.cache.absolute(), options.scale, options.runs, options.classes)
    for part in options.parts or PARTS:
        if part != "report":
            begun = time.perf_counter()
            print(part, flush=True)
            update(part, bench)
            print(f"  {part} took {time.perf_counter() - begun:.0f} s", flush=True)
        write_page()
    shutil.rmtree(discarded(bench.cache), ignore_errors=True)


if __name__ == "__main__":
    main()
