"""The seed's design, runnable, to measure against: python -m benchmarks.seed_design DICOM_DIR OUT WORKERS

The file is read to count its frames and again for every frame, all frames are decoded for each, LUTs are applied by
pydicom, images resized and written by Pillow, rows inserted one by one.
"""

import sqlite3
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.pixels import apply_modality_lut, apply_voi_lut

SIZE = 224
Row = tuple[str, str, str, int]


def write_thumbnail(path: Path, out: Path, index: int) -> None:
    """One frame, from the file on."""
    dataset = pydicom.dcmread(path)
    frames = int(getattr(dataset, "NumberOfFrames", 1) or 1)
    pixels = dataset.pixel_array[index] if frames > 1 else dataset.pixel_array
    values = apply_voi_lut(apply_modality_lut(pixels, dataset), dataset).astype(np.float64)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        values = values.max() - values
    low, high = values.min(), values.max()
    grey = ((values - low) / (high - low) * 255).astype(np.uint8)
    Image.fromarray(grey).resize((SIZE, SIZE), Image.Resampling.LANCZOS).convert("RGB").save(out)


def process(path: Path, out_dir: Path) -> list[Row]:
    """All frames of one file."""
    warnings.simplefilter("ignore")
    frames = int(getattr(pydicom.dcmread(path), "NumberOfFrames", 1) or 1)
    rows: list[Row] = []
    for index in range(frames):
        name = f"{path.parent.name}/{path.stem}" + (f"_frame{index:04d}" if frames > 1 else "")
        out = out_dir / (name.replace("/", "_") + ".png")
        write_thumbnail(path, out, index)
        rows.append((name, path.parent.name, str(out), index))
    return rows


def main(dicom_dir: Path, out_dir: Path, workers: int) -> None:
    """Process a folder and insert its rows."""
    out_dir.mkdir(parents=True, exist_ok=True)
    files = [path for path in dicom_dir.rglob("*.dcm") if path.is_file()]
    with ProcessPoolExecutor(workers) as pool:
        rows = [row for found in pool.map(partial(process, out_dir=out_dir), files) for row in found]
    database = sqlite3.connect(out_dir / "labels.db")
    database.execute("create table labels(filename text unique, study_id text, thumbnail_path text, frame_number int)")
    for row in rows:
        if not database.execute("select 1 from labels where filename = ?", row[:1]).fetchone():
            database.execute("insert into labels values(?, ?, ?, ?)", row)
            database.commit()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
