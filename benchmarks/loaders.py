"""How many images a second training code gets: from the data set, from shards, and from the plain folder by Pillow."""

import json
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.bench import Bench, Claim, Results, table, verdict
from benchmarks.cache import Extent
from benchmarks.corpus import CLASSES
from benchmarks.launching import ROOT, fresh, preprocess, run

__all__ = ["claims", "describe", "draw", "measure"]

WORKERS = (0, 2)
LOADERS = {
    "folder": "PNG folder, Pillow",
    "dataset": "`dicomprep.Dataset`",
    "shards": "WebDataset shards, Pillow",
    "shards_own": "WebDataset shards, `decode_png`",
}


def measure(bench: Bench) -> Results:
    """Images a second of each loader, medians; torch and webdataset must be installed (make .venv/torch-ready)."""
    corpus = bench.make(CLASSES["ct"], "ct_loaders", Extent(2000))  # none twice: duplicates are no training images
    out = bench.cache / "loaders"
    preprocess(corpus.folder, out, workers=2)
    shards = fresh(bench.cache / "loaders_shards")
    run(
        sys.executable, "-m", "dicomprep", "export", "webdataset", shards, "--db", out / "bench.db", "--shard-size", 500
    )
    results: Results = {"images": corpus.frames, "workers": {}}
    for workers in WORKERS:
        rates: dict[str, list[float]] = {name: [] for name in LOADERS}
        for _ in range(bench.runs):
            for name in LOADERS:
                rates[name].append(_rate(name, out, shards, workers))
        results["workers"][str(workers)] = {name: statistics.median(values) for name, values in rates.items()}
        told = ", ".join(f"{name} {rate:,.0f}/s" for name, rate in results["workers"][str(workers)].items())
        print(f"  {workers} workers: {told}", flush=True)
    return results


def _rate(name: str, out: Path, shards: Path, workers: int) -> float:
    """Images a second of one epoch, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.loading", name, str(out), str(shards), str(workers)]
    told = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout
    return float(json.loads(told.splitlines()[-1]))


def claims(results: Results) -> list[Claim]:
    """No loader of ours is slower than Pillow over the folder."""
    found = []
    for workers, rates in results["workers"].items():
        for name in ("dataset", "shards_own"):
            ratio = rates[name] / rates["folder"]
            what = f"{LOADERS[name]} against the folder, {workers} workers"
            found.append(Claim(f"loaders: {what}", f"{ratio:.2f}×", "≥ 1×", ratio >= 1))
    return found


def describe(results: Results) -> str:
    """The section of the page."""
    rows = [
        (
            LOADERS[name],
            workers,
            f"{rates[name]:,.0f}/s",
            f"{rates[name] / rates['folder']:.2f}×",
            "" if name == "folder" else verdict(met=rates[name] >= rates["folder"]),
        )
        for workers, rates in results["workers"].items()
        for name in LOADERS
    ]
    head = ["loader", "workers", "images", "against the folder", "not slower"]
    return f"{INTRODUCTION.format(images=results['images'])}\n{table(head, rows)}"


def draw(_results: Results, _images: Path) -> dict[str, str]:
    """No pictures."""
    return {}


INTRODUCTION = """## Loading for training

One epoch over {images:,} CT thumbnails of 224×224 in torch's `DataLoader`, batches of 64 uint8 tensors, files in the
cache of the system; workers are started before the clock. The folder is read as most people do: a list of files,
`PIL.Image.open`, `numpy.asarray`. Shards are read by the library `webdataset`.
"""
