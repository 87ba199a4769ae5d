"""Crops to the content against the baseline script, and against whole frames: processor time of one frame."""

import math
import statistics
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import dicomprep
from benchmarks import baseline
from benchmarks.bench import Bench, Claim, Results, table
from benchmarks.cache import Extent
from benchmarks.corpus import CLASSES
from benchmarks.launching import fresh
from dicomprep.config import ImageOptions
from dicomprep.pipeline.opening import source_at
from dicomprep.pipeline.stages.decode import decode
from dicomprep.pipeline.stages.normalize import normalize
from dicomprep.pipeline.stages.resize import resize
from dicomprep.pixels.encoding import Encoding
from dicomprep.pixels.image_file import encode_image

__all__ = ["claims", "describe", "draw", "measure"]

FILES = {"mg": 8, "cr": 20, "ct": 200}
SIZES = ("1024x512", "224")
CROPS = ("content", "none")
STEPS = ("open", "search", "decode", "draw", "encode", "write")
TARGET, TARGET_SPEED = 25, 0.8
MAX_BYTES = 2**31


def measure(bench: Bench) -> Results:
    """For each class milliseconds of the processor: of the baseline script, and of each size with and without crop."""
    cv2.setNumThreads(1)  # as workers do
    warnings.simplefilter("ignore")
    results: Results = {}
    for name, count in FILES.items():
        files = bench.make(CLASSES[name], f"{name}_crops", Extent(max(2, round(count * bench.scale)))).files()
        out = fresh(bench.out)
        for turn in range(bench.runs):
            _time_baseline(files, fresh(out), results.setdefault(name, {}).setdefault("seed", []))
            for key, options in _options():
                _time_frames(files, out, options, results[name].setdefault(key, []))
            print(f"  {name}: turn {turn + 1}", flush=True)
        results[name] = {key: _medians(turns) for key, turns in results[name].items()}
        results[name]["psnr_db"] = _psnr(files[: max(2, len(files) // 10)])
    return results


def _options() -> Iterator[tuple[str, dict[str, Any]]]:
    for size in SIZES:
        for crop in CROPS:
            yield f"{size} {crop}", {"size": size if "x" in size else int(size), "crop": crop}


def _medians(turns: Sequence[dict[str, float]]) -> dict[str, float]:
    return {step: statistics.median(turn[step] for turn in turns) for step in turns[0]}


def _time_baseline(files: Sequence[Path], out: Path, turns: list[dict[str, float]]) -> None:
    begun = time.process_time()
    for number, path in enumerate(files):
        baseline.process((path, f"study{number}"), out)
    turns.append({"all": (time.process_time() - begun) * 1000 / len(files)})


def _time_frames(files: Sequence[Path], out: Path, options: dict[str, Any], turns: list[dict[str, float]]) -> None:
    """One turn of all files, step by step as a worker takes them, without database and checks."""
    spent = np.zeros(len(STEPS))
    for path in files:
        spent += np.diff([time.process_time(), *_draw(path, out, ImageOptions(**options))])
    milliseconds = dict(zip(STEPS, (spent * 1000 / len(files)).tolist(), strict=True))
    turns.append({**milliseconds, "all": sum(milliseconds.values())})


def _draw(path: Path, out: Path, options: ImageOptions) -> Iterator[float]:
    """The processor time after each step."""
    with source_at(str(path)).open() as file:
        image = decode(file, max_bytes=MAX_BYTES)
        yield time.process_time()
        image.placement(options)
        yield time.process_time()
        frame = image.frame(0, options)
        yield time.process_time()
        drawn = resize(normalize(frame, options), options)
        yield time.process_time()
        content = encode_image(drawn.pixels, Encoding.parse("png"))
        yield time.process_time()
        (out / "image.png").write_bytes(content)
        yield time.process_time()


def _psnr(files: Sequence[Path]) -> float:
    """Of cropped thumbnails against those of `--fidelity exact`, without their padding."""
    lost = []
    for path in files:
        high, exact = (
            dicomprep.process_dicom(path, size="1024x512", crop="content", fidelity=fidelity)[0]
            for fidelity in ("high", "exact")
        )
        (top, left), (rows, columns) = high.transform.geometry.offset, high.transform.geometry.scaled_shape
        drawn = np.s_[top : top + rows, left : left + columns]
        lost.append(np.square(high.array[drawn].astype(float) - exact.array[drawn]).mean())
    error = statistics.fmean(lost)
    return 10 * math.log10(255**2 / error) if error else 0.0


def claims(results: Results) -> list[Claim]:
    """Crops are worth their search."""
    times = results["mg"]["seed"]["all"] / results["mg"]["1024x512 content"]["all"]
    speed = results["ct"]["224 none"]["all"] / results["ct"]["224 content"]["all"]
    return [
        Claim("crops: mg against the baseline script", f"{times:.3g}×", f"{TARGET}×", times >= TARGET),
        Claim("crops: ct against whole frames", f"{speed:.3f}×", f"≥ {TARGET_SPEED}× the speed", speed >= TARGET_SPEED),
    ]


def describe(results: Results) -> str:
    """The section of the page."""
    rows, shares = [], []
    for name, found in results.items():
        for key, _ in _options():
            size, crop = key.split()
            spent = found[key]
            is_main = key == "1024x512 content"
            loss = ("exact" if not found["psnr_db"] else f"{found['psnr_db']:.1f} dB") if is_main else ""
            ratio = f"{found['seed']['all'] / spent['all']:.3g}×"
            rows.append((name, size, f"`{crop}`", f"{spent['all']:.2f} ms", ratio, loss))
            shares.append((name, size, f"`{crop}`", *(f"{spent[step]:.2f} ms" for step in STEPS)))
    head = ["class", "`--size`", "`--crop`", "a frame", "times the baseline", "PSNR against `exact`"]
    met = "".join(f"- {c.what.removeprefix('crops: ')}: {c.found} (target {c.target})\n" for c in claims(results))
    steps = table(["class", "`--size`", "`--crop`", *STEPS], shares)
    return f"{INTRODUCTION}\n{table(head, rows)}\n{met}\n{STEP_INTRODUCTION}\n{steps}"


def draw(_results: Results, _images: Path) -> dict[str, str]:
    """No pictures."""
    return {}


INTRODUCTION = """## Crops

Processor time of one core for a frame, from the file to the PNG of a thumbnail, without database, checks and start-up,
all sides in turn, medians. The baseline script draws the whole frame at 224×224, whatever dicomprep is asked for.
"""

STEP_INTRODUCTION = """Where it goes. *Search* finds the content, for which frames that their codec cannot reduce are
decoded and their digests taken; *decode* has digest and perceptual hash, and the range of images without a window.
"""
