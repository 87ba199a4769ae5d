"""What each format of images costs: bytes, processor time to write and to read, and what is lost."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import dicomprep
from benchmarks.bench import Bench, Claim, Results, table
from benchmarks.cache import Extent
from benchmarks.corpus import CLASSES
from dicomprep.pixels.encoding import Encoding
from dicomprep.pixels.image_file import decode_image, encode_image

__all__ = ["claims", "describe", "draw", "measure"]

KINDS = {"cr": "radiographs", "ct": "CT", "mr": "MR", "us": "ultrasound, color"}
FORMATS = ("png", "jpeg=90", "jpeg=75", "webp", "webp=90", "npy")
SIZES = (224, 1024)
IMAGES = 24
Images = Sequence[NDArray[Any]]


def measure(bench: Bench) -> Results:
    """For each size and kind of image, each format: bytes an image, milliseconds of the processor, PSNR."""
    results: Results = {}
    for kind in KINDS:
        single = CLASSES[kind].series or CLASSES[kind].modality in ("MR", "US")
        corpus = bench.make(CLASSES[kind], f"{kind}_formats", Extent(1, IMAGES) if single else Extent(IMAGES))
        for size in SIZES:
            images = [frame.array for file in corpus.files() for frame in dicomprep.process_dicom(file, size=size)]
            rows = {text: _measure(images, Encoding.parse(text), runs=bench.runs) for text in FORMATS}
            results.setdefault(str(size), {})[kind] = rows
            print(f"  {kind} {size}: {len(images)} images", flush=True)
    return results


def _measure(images: Images, encoding: Encoding, *, runs: int) -> dict[str, float]:
    contents = [encode_image(image, encoding) for image in images]
    lost = [np.square(decode_image(c).astype(float) - i).mean() for c, i in zip(contents, images, strict=True)]
    error = statistics.fmean(lost)
    return {
        "bytes": statistics.fmean(map(len, contents)),
        "write_ms": _milliseconds(lambda: [encode_image(image, encoding) for image in images], len(images), runs),
        "read_ms": _milliseconds(lambda: [decode_image(content) for content in contents], len(images), runs),
        "psnr_db": 10 * math.log10(255**2 / error) if error else 0.0,
    }


def _milliseconds(work: Callable[[], object], count: int, runs: int) -> float:
    """Processor time for one image, the median of some turns."""
    found = []
    for _ in range(runs):
        begun = time.process_time()
        work()
        found.append((time.process_time() - begun) * 1000 / count)
    return statistics.median(found)


def claims(results: Results) -> list[Claim]:
    """Lossless WebP is smaller than PNG."""
    found = []
    for size, kinds in results.items():
        for kind, rows in kinds.items():
            share = rows["webp"]["bytes"] / rows["png"]["bytes"]
            found.append(Claim(f"formats: webp, {KINDS[kind]}, {size}", f"{share:.2f}×", "< 1× of PNG", share < 1))
    return found


def describe(results: Results) -> str:
    """The section of the page."""
    rows = [
        (
            KINDS[kind],
            f"{size}×{size}",
            text,
            f"{row['bytes'] / 1000:,.1f} KB",
            f"{row['bytes'] / formats['png']['bytes']:.2f}×",
            f"{row['write_ms']:.2f} ms",
            f"{row['read_ms']:.2f} ms",
            f"{row['psnr_db']:.1f} dB" if row["psnr_db"] else "exact",
        )
        for size, kinds in results.items()
        for kind, formats in kinds.items()
        for text, row in formats.items()
    ]
    head = ["images", "size", "`--format`", "an image", "of PNG", "write", "read", "PSNR"]
    return f"{INTRODUCTION}\n{table(head, rows)}"


def draw(_results: Results, _images: Path) -> dict[str, str]:
    """No pictures."""
    return {}


INTRODUCTION = f"""## Formats of images

What `--format` costs, of {IMAGES} generated images of each kind: bytes of a file, processor time of one core to write
and to read one (without the disk), and the peak signal-to-noise ratio against what was drawn. `webp` without a
quality loses nothing. Noise decides how small a file gets, and real images have less of it or more than these.
"""
