"""DCMTK's converters: a process for each file, two at a time."""

import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.cache import Corpus
from benchmarks.corpus import CLASSES, Kind
from benchmarks.launching import fresh

__all__ = ["convert", "tool"]

SIZE = 224


def tool(name: str) -> str | None:
    """The program for a class; None where there is none, or not here."""
    if "j2k" in name or name in ("mg", "dbt"):
        return None  # DCMTK has no decoder for JPEG 2000
    return shutil.which("dcml2pnm" if "jpegls" in name else "dcmj2pnm")


def convert(name: str, corpus: Corpus, out: Path) -> float:
    """Convert all files to PNGs; the seconds it took."""
    fresh(out)
    work = partial(_convert_file, str(tool(name)), CLASSES[name], out)
    files = corpus.files()
    start = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, files))
    return time.perf_counter() - start


def _convert_file(program: str, kind: Kind, out: Path, file: Path) -> None:
    window = [] if kind.color else ["+Wi", "1"] if "WindowCenter" in kind.tags else ["+Wm"]
    where = out / f"{file.parent.name}_{file.stem}"
    options = ["+Fa", *window, "+Sxv", str(SIZE), "+on"]
    subprocess.run([program, "-q", *options, str(file), str(where)], check=True)
