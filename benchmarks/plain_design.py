"""What one would write with pydicom and Pillow: python -m benchmarks.plain_design DICOM_DIR OUT WORKERS

A pool of processes; each file is read once and each frame decoded once. There is no database, no range of its own for
images without a window, no shape but a square, nothing is checked.
"""

import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.pixels import apply_modality_lut, apply_voi_lut, iter_pixels

SIZE = 224


def draw(pixels: NDArray[Any], dataset: pydicom.Dataset) -> NDArray[Any]:
    """8 bits of gray; color as it is."""
    if pixels.ndim == 3:
        return pixels
    values = np.asarray(apply_voi_lut(apply_modality_lut(pixels, dataset), dataset), np.float32)
    low, high = values.min(), values.max()
    grayscale = ((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)
    return 255 - grayscale if dataset.PhotometricInterpretation == "MONOCHROME1" else grayscale


def process(path: Path, out_dir: Path) -> int:
    """All frames of one file; how many."""
    warnings.simplefilter("ignore")
    dataset = pydicom.dcmread(path)
    frames = 0
    for frames, pixels in enumerate(iter_pixels(dataset), 1):
        small = Image.fromarray(draw(pixels, dataset)).resize((SIZE, SIZE), Image.Resampling.BOX)
        small.save(out_dir / f"{path.parent.name}_{path.stem}_{frames - 1:04d}.png")
    return frames


def main(dicom_dir: Path, out_dir: Path, workers: int) -> None:
    """Process a folder."""
    out_dir.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers) as pool:
        frames = sum(pool.map(partial(process, out_dir=out_dir), sorted(dicom_dir.rglob("*.dcm"))))
    print(f"{frames} frames")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
