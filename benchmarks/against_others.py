"""Frames per second against other programs on the same files."""

import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import dcmtk
from benchmarks.bench import Bench, Claim, Results, table
from benchmarks.cache import Corpus
from benchmarks.launching import ROOT, fresh, preprocess, run

__all__ = ["claims", "describe", "draw", "measure"]

ENVIRONMENT = ROOT / ".venv" / "dicom2jpg" / "bin" / "python"
"""It needs another build of OpenCV than dicomprep, so it has an environment of its own."""

CALL = "import dicom2jpg, sys; dicom2jpg.dicom2png(sys.argv[1], target_root=sys.argv[2])"
Other = Callable[[str, Corpus, Path], float | None]
"""Takes class, files and an output folder; gives seconds, or None where it has no answer."""


def measure(bench: Bench) -> Results:
    """How many times as fast dicomprep is, for each class and program."""
    return {name: _measure_class(bench, name) for name in bench.classes}


def _measure_class(bench: Bench, name: str) -> Results:
    full, few = bench.full(name), bench.few(name)
    full.warm()
    few.warm()
    others = {program: other(name, few, bench.out) for program, other in OTHERS.items()}
    ours = full.frames / preprocess(full.folder, bench.out).seconds
    times = {program: ours / (few.frames / taken) for program, taken in others.items() if taken is not None}
    print(f"  {name}: " + ", ".join(f"{program} {value:.1f}×" for program, value in times.items()), flush=True)
    return {"times": times, "absent": [program for program in OTHERS if not _is_here(program)]}


def _with_dcmtk(name: str, corpus: Corpus, out: Path) -> float | None:
    if dcmtk.tool(name) is None:
        return None
    return _checked("DCMTK", dcmtk.convert(name, corpus, out), corpus, out)


def _with_dicom2jpg(_name: str, corpus: Corpus, out: Path) -> float | None:
    if not ENVIRONMENT.exists() or corpus.extent.frames > 1:  # it refuses files of several frames
        return None
    seconds = run(ENVIRONMENT, "-c", CALL, corpus.folder, fresh(out)).seconds
    return _checked("dicom2jpg", seconds, corpus, out)


def _with_pydicom(_name: str, corpus: Corpus, out: Path) -> float | None:
    seconds = run(sys.executable, "-m", "benchmarks.plain_design", corpus.folder, fresh(out), 2).seconds
    return _checked("pydicom", seconds, corpus, out)


def _checked(program: str, seconds: float, corpus: Corpus, out: Path) -> float:
    made = sum(1 for _ in out.rglob("*.png"))
    if made != corpus.frames:
        raise RuntimeError(f"{program} made {made:,} images of {corpus.frames:,} frames in {corpus.folder.name}")
    return seconds


OTHERS: dict[str, Other] = {
    "DCMTK": _with_dcmtk,
    "dicom2jpg": _with_dicom2jpg,
    "pydicom + Pillow": _with_pydicom,
}


def _is_here(program: str) -> bool:
    return {"DCMTK": dcmtk.tool("ct") is not None, "dicom2jpg": ENVIRONMENT.exists()}.get(program, True)


def claims(_results: Results) -> list[Claim]:
    """No targets."""
    return []


def describe(results: Results) -> str:
    """The section of the page."""
    rows = [
        (name, *(f"{r['times'][program]:.3g}×" if program in r["times"] else "–" for program in OTHERS))
        for name, r in results.items()
    ]
    absent = sorted({program for r in results.values() for program in r["absent"]})
    note = f"Not installed when this was measured: {', '.join(absent)}.\n" if absent else ""
    return f"{INTRODUCTION}{note}\n{table(['class', *OTHERS], rows)}"


def draw(results: Results, images: Path) -> dict[str, str]:
    """The pictures of the section and what they show."""
    from benchmarks.plots import draw_grouped

    path = images / "bench_others.svg"
    draw_grouped(
        path, {name: r["times"] for name, r in results.items()}, label="dicomprep's frames per second over theirs"
    )
    return {path.name: "dicomprep's frames per second over those of other programs, by class"}


INTRODUCTION = """## Against other programs

dicomprep's frames per second over those of other programs, one run each; they are given the first of dicomprep's files,
as the baseline script is above. None of them keeps a database, and they do less or more in other ways:

- **DCMTK**: `dcmj2pnm`, for JPEG-LS `dcml2pnm`, scaled to 224 columns PNG (`+Sxv 224 +on`), with the file's window or
  else from minimum to maximum. It takes one file for each process; two run at once. It has no decoder for JPEG 2000.
- **dicom2jpg**: `dicom2png` with its own pool of processes, as many as there are cores; it does not scale, so its PNGs
  are as large as the images. It refuses files of several frames.
- **pydicom + Pillow**: a pool of two processes in which each file is read once and each frame is decoded once, by the
  fastest decoders that pydicom finds, with pydicom's LUTs and Pillow's means over areas (`benchmarks/plain_design.py`).
"""
