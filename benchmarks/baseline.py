"""The baseline script, runnable, to measure against: python -m benchmarks.baseline DICOM_DIR OUT WORKERS

The whole file is read to count its frames and again for every frame, all its frames are decoded for each, LUTs are
applied by pydicom, images resized and written as RGB by Pillow, rows looked up and inserted one by one.
"""

import hashlib
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
TABLE = """create table if not exists labels(id integer primary key, filename text unique, study_id text,
thumbnail_path text, frame_number int, split text)"""


def write_thumbnail(path: Path, out: Path, index: int) -> bool:
    """One frame, from the file on."""
    try:
        dataset = pydicom.dcmread(path)
        frames = int(getattr(dataset, "NumberOfFrames", 1) or 1)
        pixels = dataset.pixel_array[index] if frames > 1 else dataset.pixel_array
        values = apply_voi_lut(apply_modality_lut(pixels, dataset), dataset).astype(np.float64)
        if dataset.PhotometricInterpretation == "MONOCHROME1":
            values = values.max() - values
        low, high = values.min(), values.max()
        grayscale = (values - low) / (high - low) * 255 if high > low else np.zeros_like(values)
        small = Image.fromarray(grayscale.astype(np.uint8)).resize((SIZE, SIZE), Image.Resampling.LANCZOS)
        small.convert("RGB").save(out)
        return True
    except Exception as error:  # noqa: BLE001  (as such scripts do)
        print(f"Warning: {path}: {error}"[:200])
        return False


def process(item: tuple[Path, str], out_dir: Path) -> list[Row]:
    """All frames of one file."""
    warnings.simplefilter("ignore")
    path, study = item
    try:
        dataset = pydicom.dcmread(str(path), stop_before_pixels=False)
        frames = int(getattr(dataset, "NumberOfFrames", 1) or 1)
    except Exception as error:  # noqa: BLE001
        print(f"Cannot read {path}: {error}"[:200])
        return []
    rows: list[Row] = []
    for index in range(frames):
        name = f"{study}/{path.stem}" + (f"_frame{index:04d}" if frames > 1 else "")
        out = out_dir / (name.replace("/", "_") + ".png")
        if out.exists() or write_thumbnail(path, out, index):
            rows.append((name, study, str(out), index))
    return rows


def is_dicom(path: Path) -> bool:
    """By its name, else by the mark after its preamble."""
    if not path.is_file():
        return False
    if path.suffix == ".dcm":
        return True
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def record(rows: list[Row], database: sqlite3.Connection) -> None:
    """One by one: looked up, inserted, committed."""
    database.execute(TABLE)
    for row in rows:
        if database.execute("select 1 from labels where filename = ?", row[:1]).fetchone():
            continue
        share = int(hashlib.md5(row[0].encode(), usedforsecurity=False).hexdigest()[:8], 16) / 0xFFFFFFFF
        split = "test" if share < 0.1 else None
        columns = "filename, study_id, thumbnail_path, frame_number, split"
        database.execute(f"insert into labels({columns}) values(?, ?, ?, ?, ?)", (*row, split))
        database.commit()


def main(dicom_dir: Path, out_dir: Path, workers: int) -> None:
    """Process a folder and insert its rows."""
    out_dir.mkdir(parents=True, exist_ok=True)
    files = [(path, path.parent.name) for path in dicom_dir.rglob("*") if is_dicom(path)]
    with ProcessPoolExecutor(workers) as pool:
        rows = [row for found in pool.map(partial(process, out_dir=out_dir), files) for row in found]
    record(rows, sqlite3.connect(out_dir / "labels.db"))
    print(f"{len(files)} files, {len(rows)} frames")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
